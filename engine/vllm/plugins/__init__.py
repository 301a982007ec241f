"""Register the changes to vLLM's processes, in those processes only that this project starts.

vLLM loads every installed plugin of the group `vllm.general_plugins` in each of its processes, and
so also where somebody else starts vLLM in the same environment. There, `register` changes nothing.
"""

from engine.vllm.options import wants_plugins
from engine.vllm.plugins import cpu_waiting, orphans, vision_standin


def register() -> None:
    """Register the three plugins, unless somebody else has started this process."""
    if wants_plugins():
        for plugin in (vision_standin, cpu_waiting, orphans):
            plugin.register()
