"""The entry point of our plugins for vLLM's processes."""

import os

from invoke_api.bundled import put_on_path

# Engines of this project set it: `engine.vllm.options.PLUGINS`.
STARTED_BY_US = "ENGINE_VLLM_PLUGINS"


def register() -> None:
    """Register the plugins in a process of vLLM's that an engine of this project has started.

    vLLM loads all installed plugins of the group `vllm.general_plugins` in each of its processes,
    also if another program of the same environment starts vLLM. There, this changes nothing.
    """
    if STARTED_BY_US in os.environ:
        put_on_path()
        from engine.vllm import plugins  # noqa: PLC0415 - only from here on the path

        plugins.register()
