"""Assembly and start of the service from its settings, in each process of `invoke-api serve`."""

import asyncio
import gc
import logging
import signal
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import parent_process
from pathlib import Path
from socket import socket
from types import MappingProxyType

import click
from starlette.applications import Starlette

from engine.errors import EngineDead
from engine.vllm.cores import SharedCores, VllmCores
from invoke_api import __version__
from invoke_api.authentication.credentials import Credentials, load_credentials
from invoke_api.authentication.gate import Gate
from invoke_api.cassettes.matcher import CassetteLibrary, Replay, to_cassettes
from invoke_api.cassettes.named_cassettes import NamedRecordings
from invoke_api.cassettes.reader import load_recordings
from invoke_api.guardrails.guardrail import GuardrailStore
from invoke_api.guardrails.guardrails_file import load_guardrails
from invoke_api.models.adapter_checks import slot_problems
from invoke_api.models.engine_factory import ALL, ANY, EngineChoice, missing_weights, plan_cores
from invoke_api.models.engine_pool import Engines, build_engines
from invoke_api.models.quotas import Quotas
from invoke_api.models.registry import Registry, load_registry
from invoke_api.observability.access_log import open_access_log
from invoke_api.observability.invocation_log import open_log
from invoke_api.observability.tracing import open_tracing
from invoke_api.pipeline.request_body import InFlightCalls
from invoke_api.replay.operation import explain_stale
from invoke_api.rules.file_watcher import follow
from invoke_api.rules.parser import ModelNames, RuleError, load_rules
from invoke_api.rules.rule import Rule
from invoke_api.rules.rule_book import RuleBook
from invoke_api.server.app import create_app
from invoke_api.server.environment import (
    KEY_VARIABLES,
    keys_of_environment,
    otlp_protocol,
    remote_key,
)
from invoke_api.server.http_server import (
    DEFAULT_LIMITS,
    SIGNALS,
    BeforeAccept,
    Grace,
    Tls,
    allow_many_connections,
    open_socket,
    serve,
    stop_signal,
    to_url,
)
from invoke_api.server.reload import Reloader
from invoke_api.server.settings import Settings
from invoke_api.server.watchdog import SHUTDOWN_MARGIN_SECONDS, Watchdog
from invoke_api.transport.limits import Limits
from invoke_api.transport.listener import Acceptor
from invoke_api.yaml_files import ConfigError

log = logging.getLogger(__name__)

LISTENING = "Invoke API %s listens on %s"
README_MODEL = "mistral.mistral-7b-instruct-v0:2"  # the examples of README.md call it first


@dataclass(frozen=True, slots=True)
class ServedApp:
    """An application with the settings of its server."""

    app: Starlette
    calls: InFlightCalls
    tls: Tls | None
    grace: Grace
    limits: Limits = DEFAULT_LIMITS
    engines: Engines | None = None  # a recorder has none
    reloader: Reloader | None = None  # None without files that can be read again


def serve_alone(settings: Settings, registry: Registry) -> None:
    """Serve in this process until a signal. Raises `click.ClickException` if it can't start."""
    service = assemble(settings, registry)
    listener = listen(settings.host, settings.port)
    gc.freeze()  # modules and schemas stay; garbage collection can skip them
    run_alone(service, listener, _first_called(settings, registry))


def _first_called(settings: Settings, registry: Registry) -> str | None:
    """Return the model of the first example in README.md, if this service serves it."""
    return README_MODEL if settings.demo and README_MODEL in registry.models else None


def run_alone(service: ServedApp, listener: socket, first_called: str | None = None) -> None:
    """Serve until a signal arrives, and log the start and the end.

    `first_called` is the model that the log tells a newcomer to wait for.
    """
    url = to_url(listener, service.tls)

    def tell() -> None:
        log.info(LISTENING, __version__, url)
        if first_called:
            log.info("README.md calls %s first: wait until it is ready", first_called)

    asyncio.run(run(service, listener, tell))
    log.info("stopped")


async def run(
    service: ServedApp,
    listener: socket,
    on_start: Callable[[], None],
    signals: Sequence[signal.Signals] = SIGNALS,
    before_accept: BeforeAccept | None = None,
) -> None:
    """Serve until a signal arrives. Calls `on_start` first. `serve` explains `before_accept`."""
    stop = stop_signal(signals)
    watchdog = Watchdog() if parent_process() else Watchdog(signals, seconds_to_end(service.grace))
    watchdog.start(asyncio.get_running_loop())
    reloader = service.reloader

    def note_acceptor(acceptor: Acceptor) -> None:
        if reloader:
            reloader.acceptor = acceptor

    if reloader and not parent_process():
        loop = asyncio.get_running_loop()
        # A thread reads the files, so that calls do not wait for them.
        loop.add_signal_handler(signal.SIGHUP, partial(loop.run_in_executor, None, reloader.reload))
    on_start()
    try:
        await serve(
            service.app,
            listener,
            stop,
            service.calls,
            service.tls,
            grace=service.grace,
            limits=service.limits,
            before_accept=before_accept,
            on_accept=note_acceptor,
        )
    finally:
        watchdog.stop()


def seconds_to_end(grace: Grace) -> float:
    """Return the seconds from a signal until the service is killed if it still runs."""
    return grace.delay + grace.calls + SHUTDOWN_MARGIN_SECONDS


def assemble(
    settings: Settings,
    registry: Registry,
    cores: Mapping[str, SharedCores] = MappingProxyType({}),
    metrics_folder: Path | None = None,
    *,
    others_ready: Callable[[], bool] = lambda: True,
    is_elsewhere: bool = False,
) -> ServedApp:
    """Build the service without starting anything. Raises `click.ClickException`.

    `cores`, `metrics_folder` and `others_ready` are for one of several workers: see `create_app`.
    `is_elsewhere` is true if another ASGI server listens, at an address that is unknown here.
    """
    gate, tls = _build_gate(settings), build_tls(settings)
    shelf = _load_shelf(settings.guardrails)
    _check_models("--remote has a server for", settings.servers.keys() - {""}, registry)
    needed = set(settings.ready_when) - {ALL, ANY}
    _check_models("--ready-when names", needed, registry)
    with click_errors():
        engines = build_engines(registry.models.values(), choice_of(settings, cores))
        invocation_log = open_log(settings.invocation_log)
        tracing = open_tracing(otlp_protocol())
    recordings = _load_recordings(settings, registry)
    calls, book = InFlightCalls(), RuleBook(strict=settings.strict)
    names = None if recordings else registry.names()  # recordings may be of any model
    ids = [entry["id"] for entry in book.add(_load_rules(settings.rules, names))]
    if is_elsewhere:
        gate = replace(gate, loopback_only=settings.is_for_loopback)
    app = create_app(
        registry,
        engines,
        calls,
        gate=gate,
        book=book,
        quotas=Quotas(enforced=settings.quotas),
        control=settings.allows_control,
        recordings=recordings,
        invocation_log=invocation_log,
        tracing=tracing,
        access_log=open_access_log(settings.log_format) if settings.logs_access else None,
        extensions=settings.extensions,
        guardrails=shelf,
        alone=settings.workers == 1,
        metrics_folder=metrics_folder,
        browser_access=settings.browser_access_elsewhere
        if is_elsewhere
        else settings.browser_access,
        paces=NamedRecordings(settings.recording_places),
        others_ready=others_ready,
        following=partial(follow, settings.rules, book, ids, names) if settings.rules else None,
    )
    grace = Grace(settings.shutdown_delay, settings.graceful_timeout)
    limits = Limits(
        connections=settings.max_connections, per_address=settings.max_connections_per_address
    )
    reloader = None
    if has_reloadable_files(settings):
        read_certificate = partial(_read_certificate, tls) if tls else None
        reloader = Reloader(gate, partial(_read_keys, settings), read_certificate)
    return ServedApp(app, calls, tls, grace, limits, engines, reloader)


def has_reloadable_files(settings: Settings) -> bool:
    """Tell whether SIGHUP has a file to read again. Otherwise it ends the service."""
    return bool(settings.credentials or settings.tls_cert)


def cores_of(settings: Settings, registry: Registry) -> dict[str, tuple[VllmCores, list[str]]]:
    """Return the result of `plan_cores` for all workers. Raises `click.ClickException`."""
    with click_errors():
        return plan_cores(registry.models.values(), choice_of(settings), settings.workers)


def check_weights(settings: Settings, registry: Registry) -> None:
    """Check that weights exist. Raises `click.ClickException` if no model can be served.

    Also raises it if an adapter would change the answers of its base. If only some weights are
    missing, their models are `failed`, or fail when they are called.
    """
    if settings.demo:
        return
    models = registry.models.values()
    vllms = [model for model in models if (settings.engine or model.engine) == "vllm"]
    if problems := [*slot_problems(vllms)]:
        raise click.ClickException("\n".join(problems))
    found = [(model, missing) for model in vllms if (missing := missing_weights(model))]
    fatal = [(model, missing.sentence) for model, missing in found if missing.is_fatal]
    if len(fatal) == len(models):
        raise click.ClickException("\n".join(sentence for _, sentence in fatal))
    for model, sentence in fatal:
        if model.adapter or settings.max_loaded_models:  # otherwise the load at start logs it
            log.error(sentence)


def choice_of(
    settings: Settings, cores: Mapping[str, SharedCores] = MappingProxyType({})
) -> EngineChoice:
    return EngineChoice(
        kind=settings.engine,
        demo=settings.demo,
        max_loaded=settings.max_loaded_models,
        cache=settings.cache_dir,
        servers=settings.servers,
        key_of=remote_key,
        cores=cores,
        ready_when=settings.ready_when,
    )


def _check_models(flag: str, ids: Iterable[str], registry: Registry) -> None:
    """Raise `click.ClickException` if a flag names a model that is not served."""
    for model_id in sorted(set(ids) - registry.models.keys()):
        known = "\n  ".join(registry.models)
        raise click.ClickException(
            f"{flag} {model_id!r}, which is not served; the models are\n  {known}"
        )


def load_models(path: Path, ids: tuple[str, ...] = ()) -> Registry:
    """Load the registry, or only these models of it. Raises `click.ClickException`."""
    with click_errors():
        return load_registry(path).only(ids)


@contextmanager
def click_errors() -> Iterator[None]:
    """Convert errors in the operator's files to `click.ClickException`, which has no traceback."""
    try:
        yield
    except (ConfigError, RuleError, EngineDead) as error:
        raise click.ClickException(str(error)) from error


def listen(host: str, port: int, open_one: Callable[[str, int], socket] = open_socket) -> socket:
    """Open a socket for many clients. Raises `click.ClickException`."""
    allow_many_connections()
    try:
        return open_one(host, port)
    except OSError as error:
        where = f"{host}:{port}"
        raise click.ClickException(f"can't listen on {where}: {error.strerror}") from error


def _load_shelf(path: Path | None) -> GuardrailStore:
    if path is None:
        return GuardrailStore()
    with click_errors():
        guardrails, remarks = load_guardrails(path)
    for remark in remarks:
        log.warning(remark)
    return GuardrailStore(guardrails)


def _load_recordings(settings: Settings, registry: Registry) -> Replay | None:
    if settings.cassettes is None:
        return None
    with click_errors():
        recordings = load_recordings(settings.cassettes)
    cassettes = to_cassettes(recordings, partial(explain_stale, registry))
    for cassette in cassettes:
        if cassette.stale:
            log.warning("%s is stale and not used: %s", cassette.where, cassette.stale)
    library = CassetteLibrary(cassettes, nearest=settings.match == "nearest")
    return Replay(library, timed=settings.timing == "recorded")


def _load_rules(path: Path | None, models: ModelNames) -> list[Rule]:
    with click_errors():
        return load_rules(path, models) if path else []


def _read_keys(settings: Settings) -> Credentials:
    keys = keys_of_environment()
    if settings.credentials:
        with click_errors():
            keys += load_credentials(settings.credentials)
    if settings.auth != "none" and not keys:
        raise click.UsageError(
            f"--auth {settings.auth} needs keys; pass them with --credentials,"
            f" or in {KEY_VARIABLES[0]} and so on."
        )
    if settings.auth == "none" and keys:
        raise click.UsageError(
            "--auth none would ignore the keys; set --auth sigv4, bearer or any, or remove"
            f" --credentials, {KEY_VARIABLES[0]} and so on."
        )
    return keys


def _build_gate(settings: Settings) -> Gate:
    keys = _read_keys(settings)
    if settings.auth != "none" and settings.allows_control and not keys.has_operator:
        log.warning("No key can use --control: none in --credentials has `operator: true`")
    return Gate(
        auth=settings.auth,
        credentials=keys,
        region=settings.region,
        page_hosts=frozenset(settings.allowed_host),
    )


def build_tls(settings: Settings) -> Tls | None:
    if not settings.tls_cert or not settings.tls_key:
        return None
    tls = Tls(settings.tls_cert, settings.tls_key)
    _read_certificate(tls)
    return tls


def _read_certificate(tls: Tls) -> ssl.SSLContext:
    """Return the context of the files as they are now. Raises `click.ClickException`."""
    try:
        return tls.to_context()
    except OSError as error:  # ssl.SSLError is one
        where = f"{tls.certificate} and {tls.key}"
        raise click.ClickException(f"can't use {where}: {error.strerror}") from error
