"""The settings of `invoke-api serve`, read from flags and `INVOKE_API_*` variables."""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import isnan
from pathlib import Path

import click

from invoke_api.authentication.gate import AUTH_MODES, anonymous_access_error
from invoke_api.authentication.web_pages import BrowserAccess, is_loopback
from invoke_api.models.engine_factory import ALL, ANY, DEMO_KINDS
from invoke_api.models.identifiers import PARTITIONS
from invoke_api.observability.log_format import LEVELS
from invoke_api.server.environment import KEY_VARIABLES, REMOTE_KEY_VARIABLE, default_cache
from invoke_api.server.flags import (
    allowed_host_option,
    host_mistakes,
    host_option,
    log_format_option,
    log_level_option,
    port_option,
    registry_option,
    to_demo_kind,
)
from invoke_api.server.flags import option as _option
from invoke_api.transport.limits import Limits

# The pattern of schemas/model_registry.json.
SERVER_URL = r"https?://(\[[0-9A-Fa-f:.]+\]|[^/?#@:\[\]\s]+)(:[0-9]{1,5})?(/[^?#@\s]*)?"
MAX_GRACE_SECONDS = 86_400.0
ENGINES_WITHOUT_WEIGHTS = ("scripted", "remote", "replay")

_FILE = click.Path(path_type=Path, dir_okay=False)
_PATH = click.Path(path_type=Path)


def _split_server(value: str) -> tuple[str, str]:
    """Return the model's id, or "" if there is none, and the URL of one `--remote`."""
    if re.match("https?://", value):
        return "", value
    model_id, _, url = value.partition("=")
    return model_id, url


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of `invoke-api serve`. Raises `click.UsageError` for a contradiction."""

    host: str
    port: int
    registry: Path
    model: tuple[str, ...]
    workers: int
    engine: str | None
    remote: tuple[str, ...]
    cassettes: Path | None
    match: str
    timing: str
    demo: str | None
    max_loaded_models: int | None
    auth: str
    credentials: Path | None
    allow_anonymous: bool
    allowed_host: tuple[str, ...]
    region: str
    rules: Path | None
    recordings: Path | None
    strict: bool
    quotas: bool
    guardrails: Path | None
    invocation_log: Path | None
    extensions: bool
    control: bool | None
    tls_cert: Path | None
    tls_key: Path | None
    cache_dir: Path
    max_connections: int
    max_connections_per_address: int
    shutdown_delay: float
    ready_when: tuple[str, ...]
    graceful_timeout: float
    stop_with_stdin: bool
    log_format: str
    log_level: str
    access_log: bool

    def __post_init__(self) -> None:
        for is_wrong, sentence in self._contradictions():
            if is_wrong:
                raise click.UsageError(sentence)

    def _contradictions(self) -> Iterator[tuple[bool, str]]:
        yield (
            self.is_for_loopback and not is_loopback(self.host),
            anonymous_access_error(self.host),
        )
        yield (
            (self.engine == "replay") != (self.cassettes is not None),
            "--engine replay and --cassettes go together.",
        )
        yield (
            bool(self.remote) and self.engine != "remote",
            "--remote needs --engine remote.",
        )
        yield (
            not all(re.fullmatch(SERVER_URL, url) for url in self.servers.values()),
            "--remote must be the URL of a server: http://HOST:PORT or MODEL_ID=http://HOST:PORT",
        )
        yield (
            len(self.servers) < len(self.remote),
            "--remote names two servers for the same model.",
        )
        for flag, is_set in {
            "--match": self.match != "strict",
            "--timing": self.timing != "none",
        }.items():
            yield is_set and self.engine != "replay", f"{flag} needs --engine replay."
        for flag, given in {
            "--demo": self.demo,
            "--max-loaded-models": self.max_loaded_models,
        }.items():
            yield (
                bool(given) and self.engine in ENGINES_WITHOUT_WEIGHTS,
                f"{flag} needs an engine with weights; --engine {self.engine} loads none.",
            )
        yield (
            len(self.ready_when) > 1 and not {ALL, ANY}.isdisjoint(self.ready_when),
            f"--ready-when takes {ALL} or {ANY} alone, or ids of models.",
        )
        yield (
            isnan(self.shutdown_delay + self.graceful_timeout),
            "--shutdown-delay and --graceful-timeout must be numbers of seconds.",
        )
        yield (
            self.strict and self.rules is None and not self.allows_control,
            "--strict without rules would refuse every call; add --rules or --control.",
        )
        yield (
            (self.tls_cert is None) != (self.tls_key is None),
            "--tls-cert and --tls-key go together.",
        )
        yield from host_mistakes(self.allowed_host)
        yield (
            self.recordings is not None and not self.allows_control,
            "--recordings is only used by rules over HTTP, which need --control.",
        )
        yield self.region not in PARTITIONS, f"AWS has no region {self.region!r}."
        for flag, value in {
            "--rules": self.rules,
            "--strict": self.strict,
            "--quotas": self.quotas,
            "--engine replay": self.engine == "replay",
            "--control": self.control,
            "--max-loaded-models": self.max_loaded_models,
        }.items():
            yield (
                bool(value) and self.workers > 1,
                f"{flag} keeps per-process state and needs --workers 1.",
            )

    @property
    def servers(self) -> dict[str, str]:
        """Return the URLs of `--remote` by the ids of models. The id "" stands for all others."""
        return dict(_split_server(value) for value in self.remote)

    @property
    def is_for_loopback(self) -> bool:
        """Tell whether only clients on this machine may call, without a key."""
        return self.auth == "none" and not self.allow_anonymous

    @property
    def logs_access(self) -> bool:
        """Tell whether each call gets a line, which has the level info."""
        return self.access_log and LEVELS[self.log_level].own <= logging.INFO

    @property
    def allows_control(self) -> bool:
        """Tell whether rules and journal are served over HTTP. Default: only with --auth none."""
        return self.auth == "none" if self.control is None else self.control

    @property
    def recording_places(self) -> list[Path]:
        """Return the paths in which rules over HTTP may use recordings."""
        folder = self.rules.parent if self.rules else None
        return [place for place in (self.recordings, self.cassettes, folder) if place]

    @property
    def browser_access(self) -> BrowserAccess:
        """Return the access rules of the own routes; control routes may also need keys."""
        is_open = self.allows_control and self.auth == "none"
        return BrowserAccess(
            host=self.host,
            allowed=frozenset(self.allowed_host),
            checks_host=is_open or is_loopback(self.host),
        )

    @property
    def browser_access_elsewhere(self) -> BrowserAccess:
        """Return the access rules under another ASGI server: any address, but no other name."""
        any_address = "0.0.0.0"  # noqa: S104  # nosec B104
        return BrowserAccess(host=any_address, allowed=frozenset(self.allowed_host))


SERVE_OPTIONS = (
    host_option,
    port_option,
    registry_option,
    _option(
        "--model",
        multiple=True,
        help="Serve only this model id; repeatable. Default: all models of the registry.",
    ),
    _option(
        "--workers",
        type=click.IntRange(1),
        default=1,
        help="Number of worker processes, which share the port and vLLM's engines.",
    ),
    _option(
        "--engine",
        type=click.Choice(["vllm", "scripted", "remote", "replay"]),
        help="Use this engine for every model. Default: as in the registry.",
    ),
    _option(
        "--remote",
        multiple=True,
        metavar="[MODEL_ID=]URL",
        help="URL of the OpenAI-compatible server for --engine remote, of all models or of one;"
        " repeatable; overrides the registry."
        f" Set its API key in {REMOTE_KEY_VARIABLE}.",
    ),
    _option("--cassettes", type=_PATH, help="File or folder of recordings for --engine replay."),
    _option(
        "--match",
        type=click.Choice(["strict", "nearest"]),
        default="strict",
        help="strict: only the recording of an equal request answers. nearest: if there is none,"
        " the most similar one answers.",
    ),
    _option(
        "--timing",
        type=click.Choice(["none", "recorded"]),
        default="none",
        help="none: send recorded answers at once. recorded: send them with their recorded timing.",
    ),
    _option(
        "--demo",
        metavar=f"[{'|'.join(DEMO_KINDS)}]",
        callback=to_demo_kind,
        is_flag=False,
        flag_value=DEMO_KINDS[0],
        help=f"Use small demo checkpoints instead of the real weights. {DEMO_KINDS[0]}, the default"
        " of the flag, answers sensibly in place of every model; tiny has small random networks.",
    ),
    _option(
        "--max-loaded-models",
        type=click.IntRange(min=1),
        help="Load models on demand and keep at most this many in memory; the least recently used"
        " one is evicted. Default: load all models at start.",
    ),
    _option(
        "--auth",
        type=click.Choice(list(AUTH_MODES)),
        default="none",
        help="Required authentication: none, a signature with a known access key (sigv4), a known"
        " API key (bearer), or either (any).",
    ),
    _option(
        "--credentials",
        type=click.Path(path_type=Path, dir_okay=False),
        help="File of accepted keys (YAML or JSON). One access key and one API key can be set in"
        f" {', '.join(KEY_VARIABLES)} instead.",
    ),
    _option(
        "--allow-anonymous", is_flag=True, help="Allow listening beyond loopback with --auth none."
    ),
    allowed_host_option,
    _option("--region", default="us-east-1", help="Region for requests that name none."),
    _option(
        "--rules",
        type=_FILE,
        help="File of rules for replies and faults; reloaded when it changes.",
    ),
    _option(
        "--recordings",
        type=click.Path(path_type=Path, file_okay=False),
        help="Folder of recordings whose timing rules over HTTP may use.",
    ),
    _option(
        "--guardrails",
        type=_FILE,
        help="File of guardrails, each with the fields of CreateGuardrail (YAML).",
    ),
    _option(
        "--quotas", is_flag=True, help="Throttle calls above the registry's quotas per minute."
    ),
    _option(
        "--invocation-log",
        type=click.Path(path_type=Path, file_okay=False),
        help="Folder for the invocation log, one JSON line per call in Bedrock's format.",
    ),
    _option(
        "--extensions",
        is_flag=True,
        help="Answer calls that Bedrock refuses, such as CountTokens, and mark these answers.",
    ),
    _option("--strict", is_flag=True, help="Refuse every call that no rule answers."),
    click.option(
        "--control/--no-control",
        default=None,
        envvar="INVOKE_API_CONTROL",
        show_envvar=True,
        help="Serve rules and journal over HTTP, or not. Default: only with --auth none.",
    ),
    _option("--tls-cert", type=_FILE, help="Serve HTTPS with this certificate (PEM)."),
    _option("--tls-key", type=_FILE, help="Private key of the certificate (PEM)."),
    _option(
        "--cache-dir",
        type=click.Path(path_type=Path, file_okay=False),
        default=default_cache,
        help="Folder for the demo checkpoints. By default invoke-api in the user's cache folder.",
    ),
    _option(
        "--max-connections",
        type=click.IntRange(min=1),
        default=Limits().connections,
        help="Maximum number of open connections per worker; further ones get status 503.",
    ),
    _option(
        "--max-connections-per-address",
        type=click.IntRange(min=1),
        default=Limits().per_address,
        help="Maximum number of open connections per worker and client address; raise it behind a"
        " load balancer.",
    ),
    _option(
        "--shutdown-delay",
        type=click.FloatRange(0, MAX_GRACE_SECONDS),
        default=0.0,
        help="Seconds to keep serving after SIGTERM while /_emulator/ready returns 503.",
    ),
    _option(
        "--ready-when",
        multiple=True,
        metavar="all|any|MODEL_ID",
        default=(ALL,),
        help="Models that must accept calls for /_emulator/ready to return 200: all of them, any of"
        " them, or the one with this id; repeatable.",
    ),
    _option(
        "--graceful-timeout",
        type=click.FloatRange(0, MAX_GRACE_SECONDS),
        default=10.0,
        help="Seconds that in-flight calls then have to finish.",
    ),
    _option(
        "--stop-with-stdin",
        is_flag=True,
        help="Stop when standard input closes: with the program that holds the other end.",
    ),
    log_format_option,
    log_level_option,
    click.option(
        "--access-log/--no-access-log",
        default=True,
        show_default=True,
        envvar="INVOKE_API_ACCESS_LOG",
        show_envvar=True,
        help="Log one line for each call, at the level info, or none.",
    ),
)
