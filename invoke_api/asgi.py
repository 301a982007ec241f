"""The application for any ASGI server: `uvicorn invoke_api.asgi:app`, for example.

It is configured by the same `INVOKE_API_*` variables as `invoke-api serve`.
"""

import logging
from typing import Any

import click
from starlette.applications import Starlette

from invoke_api.bundled import put_on_path

put_on_path()
from invoke_api.cli import load_served, serve_command
from invoke_api.observability.log_format import set_up_logs
from invoke_api.server.bootstrap import assemble
from invoke_api.server.environment import set_up_vllm_logs
from invoke_api.server.settings import Settings

log = logging.getLogger(__name__)

# Settings of `invoke-api serve` that have no effect under another server.
SERVER_OPTIONS = (
    "host",
    "port",
    "workers",
    "max_connections",
    "max_connections_per_address",
    "shutdown_delay",
    "graceful_timeout",
)
TLS_OPTIONS = ("tls_cert", "tls_key")


def build_app() -> Starlette:
    """Return the application. Raises `SystemExit` with a message if it can't start."""
    try:
        return _build_app()
    except click.ClickException as error:
        raise SystemExit(f"invoke_api.asgi: {error.format_message()}") from None


def _build_app() -> Starlette:
    context = serve_command.make_context("invoke-api serve", [])
    flags, ignored = _without_our_server(context)
    settings = Settings(**flags)
    if not logging.getLogger().handlers:  # otherwise a program has configured logging
        set_up_logs(settings.log_format, settings.log_level)
    set_up_vllm_logs(settings.log_format, settings.log_level)
    for variable in ignored:
        log.warning("%s has no effect here; configure the ASGI server instead", variable)
    return assemble(settings, load_served(settings), is_elsewhere=True).app


def _without_our_server(context: click.Context) -> tuple[dict[str, Any], list[str]]:
    """Return the flags with defaults for `SERVER_OPTIONS`, and the variables that set those.

    Raises `click.UsageError` for TLS, because ignoring it would serve clear text.
    """
    flags = dict(context.params)
    ignored = []
    for option in serve_command.params:
        name = str(option.name)
        if name in TLS_OPTIONS and flags[name] is not None:
            raise click.UsageError(
                f"{option.envvar} is only for `invoke-api serve`; pass certificate and key to your"
                " ASGI server, and unset the variable."
            )
        if name in SERVER_OPTIONS and flags[name] != option.default:
            flags[name] = option.default
            ignored.append(str(option.envvar))
    return flags, ignored


app = build_app()
