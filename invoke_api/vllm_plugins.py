"""The entry points of our plugins and of our log in vLLM's processes."""

import logging
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


def json_handler() -> logging.Handler:
    """Return the handler of vLLM's log that `observability/vllm_logs.json` names.

    Also sets the level of vLLM's logger, because that file can't read it from the environment.
    """
    from invoke_api.observability.log_format import FORMATTERS  # noqa: PLC0415 - see above

    logging.getLogger("vllm").setLevel(os.environ.get("VLLM_LOGGING_LEVEL", "INFO").upper())
    handler = logging.StreamHandler()
    handler.setFormatter(FORMATTERS["json"])
    return handler
