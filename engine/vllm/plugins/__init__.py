"""Plugins that change the vLLM processes that this project starts.

`invoke_api.vllm_plugins` is their entry point.
"""

from engine.vllm.plugins import cpu_waiting, orphans, vision_standin


def register() -> None:
    """Register the three plugins."""
    for plugin in (vision_standin, cpu_waiting, orphans):
        plugin.register()
