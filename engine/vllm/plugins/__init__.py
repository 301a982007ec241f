"""Plugins that change the vLLM processes that this project starts.

vLLM loads all installed plugins of the group `vllm.general_plugins` in each of its processes, also
if another program of the same environment starts vLLM. There, `register` changes nothing.
"""

from engine.vllm.options import wants_plugins
from engine.vllm.plugins import cpu_waiting, orphans, vision_standin


def register() -> None:
    """Register the three plugins if this project has started the process."""
    if wants_plugins():
        for plugin in (vision_standin, cpu_waiting, orphans):
            plugin.register()
