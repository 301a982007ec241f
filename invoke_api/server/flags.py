"""Flags of the command line: their variables, and the flags that several commands share."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from invoke_api.authentication.web_pages import name_in
from invoke_api.models.engine_factory import DEMO_KINDS
from invoke_api.models.registry import DEFAULT_REGISTRY
from invoke_api.observability.log_format import LEVELS

Command = TypeVar("Command", bound=Callable[..., Any])
ON, OFF = {"1", "true", "t", "yes", "y", "on"}, {"", "0", "false", "f", "no", "n", "off"}


def to_demo_kind(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Return the kind that `--demo` or its variable names, or None for no demo.

    The variable may be 1 or 0, as that of a flag without a value. Raises `click.BadParameter`.
    """
    if value is None or value.lower() in OFF:
        return None
    kind = DEMO_KINDS[0] if value.lower() in ON else value
    if kind not in DEMO_KINDS:
        raise click.BadParameter(f"{value!r} is not one of {', '.join(map(repr, DEMO_KINDS))}.")
    return kind


def host_mistakes(names: Sequence[str]) -> Iterator[tuple[bool, str]]:
    """Yield whether each name is invalid as the host of a Host header, with an error message."""
    for name in names:
        yield (
            name != name_in(name),
            f"--allowed-host must be a host name in lower case, without a port, not {name!r}.",
        )


def option(flag: str, **more: Any) -> Callable[[Command], Command]:  # noqa: ANN401 - click's own
    variable = "INVOKE_API_" + flag.removeprefix("--").replace("-", "_").upper()
    return click.option(flag, envvar=variable, show_envvar=True, show_default=True, **more)


registry_option = option(
    "--registry",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT_REGISTRY,
    help="The model registry (YAML).",
)

host_option = option("--host", default="127.0.0.1", help="Address to listen on.")
allowed_host_option = option(
    "--allowed-host",
    multiple=True,
    metavar="NAME",
    help="Additional host name of this service; repeatable. Requests for a host name other than"
    " localhost, --host and these are refused if a web page could have sent them.",
)
port_option = option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8080,
    help="Port to listen on; 0 picks a free one and prints it.",
)
log_format_option = option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    help="Format of the log: lines of text, or one JSON object per line.",
)
log_level_option = option(
    "--log-level",
    type=click.Choice(list(LEVELS)),
    default="info",
    help="Lowest level of the lines in the log. With info, libraries and vLLM log from warning on.",
)


def with_options(options: Sequence[Callable[[Any], Any]]) -> Callable[[Command], Command]:
    """Return a decorator that adds these flags in their order."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add
