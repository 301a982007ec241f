"""What the operator wants: flags and `INVOKE_API_*`, read once into a frozen `Settings`."""

import ipaddress
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from invoke_api.registry import DEFAULT_REGISTRY

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything `invoke-api serve` can be told. Raises `click.UsageError` for a contradiction."""

    host: str
    port: int
    registry: Path
    model: tuple[str, ...]
    engine: str | None
    demo: bool
    auth: str
    allow_anonymous: bool
    cache_dir: Path
    log_format: str

    def __post_init__(self) -> None:
        if self.auth == "none" and not self.allow_anonymous and not _is_loopback(self.host):
            raise click.UsageError(
                f"On {self.host} anybody who reaches this machine could use the models."
                " Say --allow-anonymous if that is what you want,"
                " or stay on the loopback address 127.0.0.1."
            )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "invoke-api"


def _option(flag: str, **more: Any) -> Callable[[Command], Command]:  # noqa: ANN401 - click's own
    variable = "INVOKE_API_" + flag.removeprefix("--").replace("-", "_").upper()
    return click.option(flag, envvar=variable, show_envvar=True, show_default=True, **more)


registry_option = _option(
    "--registry",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT_REGISTRY,
    help="The model registry.",
)

SERVE_OPTIONS = (
    _option("--host", default="127.0.0.1", help="Address to listen on."),
    _option(
        "--port",
        type=click.IntRange(0, 65_535),
        default=8080,
        help="Port to listen on; 0 picks a free one and prints it.",
    ),
    registry_option,
    _option("--model", multiple=True, help="Serve this model id only; may be said repeatedly."),
    _option(
        "--engine",
        type=click.Choice(["vllm", "scripted"]),
        help="Use this engine for every model, whatever the registry says.",
    ),
    _option("--demo", is_flag=True, help="Small demo checkpoints in place of the real weights."),
    _option(
        "--auth",
        type=click.Choice(["none"]),
        default="none",
        help="Whom to answer: so far everybody.",
    ),
    _option("--allow-anonymous", is_flag=True, help="Listen beyond loopback without --auth."),
    _option(
        "--cache-dir",
        type=click.Path(path_type=Path, file_okay=False),
        default=_default_cache,
        help="Where the demo checkpoints are kept.",
    ),
    _option("--log-format", type=click.Choice(["text", "json"]), default="text"),
)


def serve_options(command: Command) -> Command:
    """All flags of `invoke-api serve`, in the order above."""
    for option in reversed(SERVE_OPTIONS):
        command = option(command)
    return command
