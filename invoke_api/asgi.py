"""The service for any ASGI server: `uvicorn invoke_api.asgi:app`, `hypercorn invoke_api.asgi:app`.

The variables `INVOKE_API_*` are read as `invoke-api serve` reads them.
"""

import logging
from typing import Any

import click
from starlette.applications import Starlette

from invoke_api.cli import load_served, serve_command
from invoke_api.observability.log_format import set_up_logs
from invoke_api.server.bootstrap import assemble
from invoke_api.server.settings import Settings

log = logging.getLogger(__name__)

# The other server has options of its own for these.
OF_OUR_SERVER = (
    "host",
    "port",
    "workers",
    "max_connections",
    "max_connections_per_address",
    "shutdown_delay",
    "graceful_timeout",
)
OF_TLS = ("tls_cert", "tls_key")


def build_app() -> Starlette:
    """Return the application. Raises `SystemExit` with a sentence for what can't be served."""
    try:
        return _build_app()
    except click.ClickException as error:
        raise SystemExit(f"invoke_api.asgi: {error.format_message()}") from None


def _build_app() -> Starlette:
    context = serve_command.make_context("invoke-api serve", [])
    flags, ignored = _without_our_server(context)
    settings = Settings(**flags)
    if not logging.getLogger().handlers:  # else a program has set up its own logs
        set_up_logs(settings.log_format)
    for variable in ignored:
        log.warning("%s does nothing here: say it to the ASGI server that runs this", variable)
    return assemble(settings, load_served(settings), is_elsewhere=True).app


def _without_our_server(context: click.Context) -> tuple[dict[str, Any], list[str]]:
    """Return the flags without those of our own server, and the variables that set these.

    Raises `click.UsageError` for TLS: to ignore it would answer in clear text.
    """
    flags = dict(context.params)
    ignored = []
    for option in serve_command.params:
        name = str(option.name)
        if name in OF_TLS and flags[name] is not None:
            raise click.UsageError(
                f"{option.envvar} is for `invoke-api serve`: give certificate and key to the"
                " ASGI server that runs this, and unset the variable."
            )
        if name in OF_OUR_SERVER and flags[name] != option.default:
            flags[name] = option.default
            ignored.append(str(option.envvar))
    return flags, ignored


app = build_app()
