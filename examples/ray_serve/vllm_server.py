"""vLLM's OpenAI server as a deployment of Ray Serve. Each replica is an engine of its own."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve import Application


@serve.deployment
@serve.ingress()
class VLLM:
    """One vLLM engine and the routes of vLLM's server."""

    def __init__(self, flags: list[str]) -> None:
        self._flags = flags
        self._resources = AsyncExitStack()
        self._engine: Any = None

    async def __serve_build_asgi_app__(self) -> FastAPI:
        """Start the engine. Return vLLM's own application, which Ray Serve calls for each request.

        Ray Serve awaits this once, before it sends requests to the replica.
        """
        from vllm.entrypoints.launchers.api_server.app_state import init_app_state
        from vllm.entrypoints.launchers.api_server.entry import build_async_engine_client
        from vllm.entrypoints.launchers.app import build_app
        from vllm.entrypoints.launchers.cli_args import make_arg_parser
        from vllm.utils.argparse_utils import FlexibleArgumentParser

        arguments = make_arg_parser(FlexibleArgumentParser()).parse_args(self._flags)
        self._engine = await self._resources.enter_async_context(
            build_async_engine_client(arguments)
        )
        tasks = await self._engine.get_supported_tasks()
        app: FastAPI = build_app(arguments, tasks, self._engine.model_config)
        await init_app_state(self._engine, app.state, arguments, tasks)
        return app

    async def check_health(self) -> None:
        """Raise an error if the engine has died. Ray Serve then replaces the replica."""
        await self._engine.check_health()

    async def __del__(self) -> None:
        """End the engine. Ray Serve awaits this when it stops the replica."""
        await self._resources.aclose()


def build(arguments: Mapping[str, Any]) -> Application:
    """Return the application for `args` of serve.yaml: the flags of `vllm serve`, without dashes.

    A flag whose value is true takes no value.
    """
    flags: list[str] = []
    for name, value in arguments.items():
        flags.append(f"--{name}")
        if value is not True:
            flags.append(str(value))
    return VLLM.bind(flags)  # type: ignore[attr-defined]  # mypy ignores decorators of classes
