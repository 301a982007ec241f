"""Flags of the command line: how one is made, with its variable, and those of several commands."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from invoke_api.authentication.web_pages import name_in
from invoke_api.models.registry import DEFAULT_REGISTRY

Command = TypeVar("Command", bound=Callable[..., Any])


def not_hosts(names: Sequence[str]) -> Iterator[tuple[bool, str]]:
    """Yield a sentence for each of these that a Host header can't be compared with."""
    for name in names:
        yield (
            name != name_in(name),
            f"--allowed-host is a host in small letters, without a port: {name!r} is none.",
        )


def option(flag: str, **more: Any) -> Callable[[Command], Command]:  # noqa: ANN401 - click's own
    variable = "INVOKE_API_" + flag.removeprefix("--").replace("-", "_").upper()
    return click.option(flag, envvar=variable, show_envvar=True, show_default=True, **more)


registry_option = option(
    "--registry",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT_REGISTRY,
    help="The model registry.",
)

host_option = option("--host", default="127.0.0.1", help="Address to listen on.")
allowed_host_option = option(
    "--allowed-host",
    multiple=True,
    metavar="NAME",
    help="A name beside localhost and --host that this service goes by; may be said repeatedly."
    " Requests for others are refused where a web page could have made them.",
)
port_option = option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8080,
    help="Port to listen on; 0 picks a free one and prints it.",
)
log_option = option("--log-format", type=click.Choice(["text", "json"]), default="text")


def with_options(options: Sequence[Callable[[Any], Any]]) -> Callable[[Command], Command]:
    """All these flags, in their order."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add
