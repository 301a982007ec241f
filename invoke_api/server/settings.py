"""What the operator wants: flags and `INVOKE_API_*`, read once into a frozen `Settings`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import isnan
from pathlib import Path

import click

from invoke_api.authentication.gate import SCHEMES, anybody_could_call
from invoke_api.authentication.web_pages import Doors, is_loopback
from invoke_api.models.identifiers import PARTITIONS
from invoke_api.server.environment import KEY_VARIABLES, REMOTE_KEY_VARIABLE, default_cache
from invoke_api.server.flags import (
    allowed_host_option,
    host_option,
    log_option,
    not_hosts,
    port_option,
    registry_option,
)
from invoke_api.server.flags import option as _option
from invoke_api.transport.limits import Limits

# As in schemas/model_registry.json.
SERVER_URL = r"https?://(\[[0-9A-Fa-f:.]+\]|[^/?#@:\[\]\s]+)(:[0-9]{1,5})?(/[^?#@\s]*)?"
LONGEST_GRACE = 86_400.0  # seconds
WITHOUT_WEIGHTS = ("scripted", "remote", "replay")  # the engines that load none

_FILE = click.Path(path_type=Path, dir_okay=False)
_PATH = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything `invoke-api serve` can be told. Raises `click.UsageError` for a contradiction."""

    host: str
    port: int
    registry: Path
    model: tuple[str, ...]
    workers: int
    engine: str | None
    remote: str | None
    cassettes: Path | None
    match: str
    timing: str
    demo: bool
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
    graceful_timeout: float
    log_format: str

    def __post_init__(self) -> None:
        for is_so, sentence in self._contradictions():
            if is_so:
                raise click.UsageError(sentence)

    def _contradictions(self) -> Iterator[tuple[bool, str]]:
        yield (
            self.is_for_loopback and not is_loopback(self.host),
            anybody_could_call(self.host),
        )
        yield (
            (self.engine == "replay") != (self.cassettes is not None),
            "--engine replay and --cassettes go together.",
        )
        yield (
            self.remote is not None and self.engine != "remote",
            "--remote goes with --engine remote.",
        )
        yield (
            self.remote is not None and not re.fullmatch(SERVER_URL, self.remote or ""),
            "--remote is the URL of a server: http://HOST:PORT",
        )
        for flag, is_said in {
            "--match": self.match != "strict",
            "--timing": self.timing != "none",
        }.items():
            yield is_said and self.engine != "replay", f"{flag} goes with --engine replay."
        for flag, given in {
            "--demo": self.demo,
            "--max-loaded-models": self.max_loaded_models,
        }.items():
            yield (
                bool(given) and self.engine in WITHOUT_WEIGHTS,
                f"{flag} is about weights, and --engine {self.engine} loads none.",
            )
        yield (
            isnan(self.shutdown_delay + self.graceful_timeout),
            "--shutdown-delay and --graceful-timeout are seconds.",
        )
        yield (
            self.strict and self.rules is None and not self.allows_control,
            "--strict refuses what no rule answers, and there are none: say --rules or --control.",
        )
        yield (
            (self.tls_cert is None) != (self.tls_key is None),
            "--tls-cert and --tls-key go together.",
        )
        yield from not_hosts(self.allowed_host)
        yield (
            self.recordings is not None and not self.allows_control,
            "--recordings is for rules over HTTP, which need --control.",
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
                f"{flag} needs one worker: each of several would keep a count of its own.",
            )

    @property
    def is_for_loopback(self) -> bool:
        """Tell whether only clients on this machine may call: nobody needs a key."""
        return self.auth == "none" and not self.allow_anonymous

    @property
    def allows_control(self) -> bool:
        """Whether rules and journal may be reached: where everybody may call, everybody may."""
        return self.auth == "none" if self.control is None else self.control

    @property
    def recording_places(self) -> list[Path]:
        """Where rules over HTTP may find recordings: what the operator has named anyway."""
        folder = self.rules.parent if self.rules else None
        return [place for place in (self.recordings, self.cassettes, folder) if place]

    @property
    def doors(self) -> Doors:
        """Whom the service's own routes answer. Keys are asked for beyond, where there are any."""
        is_open = self.allows_control and self.auth == "none"
        return Doors(
            host=self.host,
            allowed=frozenset(self.allowed_host),
            checks_host=is_open or is_loopback(self.host),
        )

    @property
    def doors_elsewhere(self) -> Doors:
        """Doors where another server listens: any address may be ours, and no other name."""
        any_address = "0.0.0.0"  # noqa: S104  # nosec B104
        return Doors(host=any_address, allowed=frozenset(self.allowed_host))


SERVE_OPTIONS = (
    host_option,
    port_option,
    registry_option,
    _option("--model", multiple=True, help="Serve this model id only; may be said repeatedly."),
    _option(
        "--workers",
        type=click.IntRange(1),
        default=1,
        help="Processes that answer, on the same port and the same engines.",
    ),
    _option(
        "--engine",
        type=click.Choice(["vllm", "scripted", "remote", "replay"]),
        help="Use this engine for every model, whatever the registry says.",
    ),
    _option(
        "--remote",
        metavar="URL",
        help="The OpenAI-compatible server that --engine remote asks, in place of the registry's;"
        f" its API key may stand in {REMOTE_KEY_VARIABLE}.",
    ),
    _option("--cassettes", type=_PATH, help="What --engine replay answers from: a file, a folder."),
    _option(
        "--match",
        type=click.Choice(["strict", "nearest"]),
        default="strict",
        help="Which recording answers: that of the very same request, or else the nearest.",
    ),
    _option(
        "--timing",
        type=click.Choice(["none", "recorded"]),
        default="none",
        help="Whether recordings come at once, or as slowly as they once came.",
    ),
    _option("--demo", is_flag=True, help="Small demo checkpoints in place of the real weights."),
    _option(
        "--max-loaded-models",
        type=click.IntRange(min=1),
        help="Load models when they are called, and keep so many in memory at once: the least"
        " recently used makes room. By default all are loaded at start.",
    ),
    _option(
        "--auth",
        type=click.Choice(list(SCHEMES)),
        default="none",
        help="Whom to answer: everybody, who signs with a known key, who sends a known API key,"
        " or any of the two.",
    ),
    _option(
        "--credentials",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The keys that callers may use, in YAML or JSON; one access key and one API key may"
        f" stand in {', '.join(KEY_VARIABLES)} instead.",
    ),
    _option("--allow-anonymous", is_flag=True, help="Listen beyond loopback without --auth."),
    allowed_host_option,
    _option(
        "--region", default="us-east-1", help="Where callers are who do not sign for a region."
    ),
    _option(
        "--rules", type=_FILE, help="What to answer, or how to fail; read again when it changes."
    ),
    _option(
        "--recordings",
        type=click.Path(path_type=Path, file_okay=False),
        help="A folder of recordings whose times rules over HTTP may name as their pace.",
    ),
    _option(
        "--guardrails",
        type=_FILE,
        help="The guardrails that calls may name, each as CreateGuardrail takes it, in YAML.",
    ),
    _option("--quotas", is_flag=True, help="Throttle by the registry's quotas a minute."),
    _option(
        "--invocation-log",
        type=click.Path(path_type=Path, file_okay=False),
        help="A folder, for a line about each call as Bedrock logs it.",
    ),
    _option(
        "--extensions",
        is_flag=True,
        help="Answer what Bedrock would refuse: CountTokens counts. Such answers say so.",
    ),
    _option("--strict", is_flag=True, help="Refuse every call that no rule answers."),
    click.option(
        "--control/--no-control",
        default=None,
        envvar="INVOKE_API_CONTROL",
        show_envvar=True,
        help="Rules and journal over HTTP, or not; by default with --auth none only.",
    ),
    _option("--tls-cert", type=_FILE, help="Answer https with this certificate (PEM)."),
    _option("--tls-key", type=_FILE, help="The certificate's private key (PEM)."),
    _option(
        "--cache-dir",
        type=click.Path(path_type=Path, file_okay=False),
        default=default_cache,
        help="Where the demo checkpoints are kept.",
    ),
    _option(
        "--max-connections",
        type=click.IntRange(min=1),
        default=Limits().connections,
        help="Connections open at once, in each worker; one too many is answered 503.",
    ),
    _option(
        "--max-connections-per-address",
        type=click.IntRange(min=1),
        default=Limits().per_address,
        help="The same from one client's address; raise it behind a balancer.",
    ),
    _option(
        "--shutdown-delay",
        type=click.FloatRange(0, LONGEST_GRACE),
        default=0.0,
        help="Seconds after the signal to end in which all is answered as before, but"
        " /_emulator/ready, which is 503: for balancers to look elsewhere.",
    ),
    _option(
        "--graceful-timeout",
        type=click.FloatRange(0, LONGEST_GRACE),
        default=10.0,
        help="Seconds that calls under way get then to end.",
    ),
    log_option,
)
