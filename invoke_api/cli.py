"""`invoke-api`: serve, record, exec, models, check."""

import asyncio
import gc
import logging
import sys
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from socket import socket
from typing import Any

import click
from starlette.applications import Starlette

from engine.errors import EngineDead
from invoke_api import __version__
from invoke_api.app import create_app
from invoke_api.authentication.credentials import load_credentials
from invoke_api.authentication.gate import Gate
from invoke_api.cassettes.files import CassetteWriter, load_recordings
from invoke_api.cassettes.library import Library, Replay, to_cassettes
from invoke_api.config_files import ConfigError
from invoke_api.engines import EngineChoice, build_engines
from invoke_api.guardrails.loading import load_guardrails
from invoke_api.guardrails.shelf import Shelf
from invoke_api.logs import set_up_logs
from invoke_api.operations.client import Calls
from invoke_api.operations.stale import explain_stale
from invoke_api.quotas import Quotas
from invoke_api.record_settings import RECORD_OPTIONS, RecordSettings
from invoke_api.registry import Model, Registry, load_registry
from invoke_api.rules.book import RuleBook
from invoke_api.rules.parsing import RuleError, load_rules
from invoke_api.rules.rule import Rule
from invoke_api.rules.watching import follow
from invoke_api.server import Tls, open_socket, serve, stop_signal, to_url
from invoke_api.settings import (
    KEY_VARIABLES,
    SERVE_OPTIONS,
    Settings,
    keys_of_environment,
    registry_option,
    run_with,
    with_options,
)
from invoke_api.telemetry.invocation_log import open_log
from invoke_api.testing import LOUDER, bedrock_running

log = logging.getLogger(__name__)


@click.group()
@click.version_option(__version__, message="%(version)s")
def main() -> None:
    """The Amazon Bedrock Runtime API for Mistral AI models, on your own machine."""


@main.command("serve")
@with_options(SERVE_OPTIONS)
def serve_command(**flags: Any) -> None:  # noqa: ANN401 - Settings names and types them
    """Answer the Bedrock Runtime API."""
    settings = Settings(**flags)
    set_up_logs(settings.log_format)
    registry = _load(settings.registry, settings.model)
    gate, tls, rules = _build_gate(settings), _build_tls(settings), _load_rules(settings.rules)
    shelf = _load_shelf(settings.guardrails)
    choice = EngineChoice(
        kind=settings.engine,
        demo=settings.demo,
        max_loaded=settings.max_loaded_models,
        cache=settings.cache_dir,
    )
    try:
        engines = build_engines(registry.models.values(), choice)
        invocation_log = open_log(settings.invocation_log)
    except (ConfigError, EngineDead) as error:
        raise click.ClickException(str(error)) from error
    recordings = _load_recordings(settings, registry)
    listener = _listen(settings.host, settings.port)
    calls, book = Calls(), RuleBook(strict=settings.strict)
    ids = [entry["id"] for entry in book.add(rules)]
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
        extensions=settings.extensions,
        guardrails=shelf,
    )
    following = follow(settings.rules, book, ids) if settings.rules else None
    gc.freeze()  # what is loaded by now stays: it need not be searched for garbage again and again
    asyncio.run(_serve(app, listener, calls, tls, following))


async def _serve(
    app: Starlette,
    listener: socket,
    calls: Calls,
    tls: Tls | None = None,
    following: Coroutine[None, None, None] | None = None,
) -> None:
    stop = stop_signal()
    log.info("Invoke API %s listens on %s", __version__, to_url(listener, tls))
    task = asyncio.create_task(following) if following else None
    await serve(app, listener, stop, calls, tls)
    if task:
        task.cancel()
    log.info("stopped")


def _load_shelf(path: Path | None) -> Shelf:
    if path is None:
        return Shelf()
    try:
        guardrails, remarks = load_guardrails(path)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    for remark in remarks:
        log.warning(remark)
    return Shelf(guardrails)


def _listen(host: str, port: int) -> socket:
    try:
        return open_socket(host, port)
    except OSError as error:
        where = f"{host}:{port}"
        raise click.ClickException(f"can't listen on {where}: {error.strerror}") from error


def _load_recordings(settings: Settings, registry: Registry) -> Replay | None:
    if settings.cassettes is None:
        return None
    try:
        recordings = load_recordings(settings.cassettes)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    cassettes = to_cassettes(recordings, partial(explain_stale, registry))
    for cassette in cassettes:
        if cassette.stale:
            log.warning("%s is stale and answers nothing: %s", cassette.where, cassette.stale)
    library = Library(cassettes, nearest=settings.match == "nearest")
    return Replay(library, timed=settings.timing == "recorded")


def _load_rules(path: Path | None) -> list[Rule]:
    try:
        return load_rules(path) if path else []
    except (ConfigError, RuleError) as error:
        raise click.ClickException(str(error)) from error


def _build_gate(settings: Settings) -> Gate:
    keys = keys_of_environment()
    if settings.credentials:
        try:
            keys += load_credentials(settings.credentials)
        except ConfigError as error:
            raise click.ClickException(str(error)) from error
    if settings.auth != "none" and not keys:
        raise click.UsageError(
            f"--auth {settings.auth} lets nobody in without keys: name them with --credentials,"
            f" or in {KEY_VARIABLES[0]} and so on."
        )
    return Gate(auth=settings.auth, credentials=keys, region=settings.region)


def _build_tls(settings: Settings) -> Tls | None:
    if not settings.tls_cert or not settings.tls_key:
        return None
    tls = Tls(settings.tls_cert, settings.tls_key)
    try:
        tls.check()
    except OSError as error:  # ssl.SSLError is one
        where = f"{tls.certificate} and {tls.key}"
        raise click.ClickException(f"can't use {where}: {error.strerror}") from error
    return tls


@main.command("record")
@with_options(RECORD_OPTIONS)
def record_command(**flags: Any) -> None:  # noqa: ANN401 - RecordSettings names and types them
    """Stand between an app and Bedrock, and keep what passes in cassettes.

    Calls are signed anew with your own AWS credentials, found as boto3 finds them.
    """
    settings = RecordSettings(**flags)
    set_up_logs(settings.log_format)
    try:
        from invoke_api.recording.app import create_recorder  # noqa: PLC0415 - an extra brings httpx
        from invoke_api.recording.upstream import open_upstream  # noqa: PLC0415 - the same
    except ImportError as error:
        raise click.ClickException(f"{error}: install invoke-api[record]") from error
    try:
        upstream = open_upstream(
            url=settings.upstream, region=settings.region, profile=settings.profile
        )
        writer = CassetteWriter(settings.to)
    except LookupError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"can't write to {settings.to}: {error.strerror}") from error
    listener = _listen(settings.host, settings.port)
    calls = Calls()
    recorder = create_recorder(upstream, writer, calls, is_local=not settings.allow_anonymous)
    asyncio.run(_serve(recorder, listener, calls))


@main.command(
    "exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.option("--rules", type=click.Path(path_type=Path, dir_okay=False), help="As for serve.")
@click.option("--demo", is_flag=True, help="The demo checkpoints in place of the scripted engine.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_command(rules: Path | None, command: tuple[str, ...], *, demo: bool) -> None:
    """Run a command with a fresh server, and the variables by which AWS SDKs find it."""
    flags = ["--demo"] if demo else ["--engine", "scripted"]
    flags += ["--rules", str(rules)] if rules else []
    try:
        with bedrock_running(*flags) as bedrock:
            sys.exit(run_with(command, bedrock.environment, without=LOUDER))
    except (RuntimeError, OSError) as error:
        raise click.ClickException(str(error)) from error


@main.command()
@registry_option
def models(registry: Path) -> None:
    """What the registry offers: a table of all models."""
    rows: list[tuple[str, ...]] = [
        ("MODEL", "DIALECT", "CONTEXT", "ENGINE", "WEIGHTS", "FAITHFULNESS")
    ]
    rows += [_row(model) for model in _load(registry).models.values()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


@main.command()
@registry_option
def check(registry: Path) -> None:
    """Check the registry and its schemas; every mistake with file, line and a sentence."""
    found = _load(registry)
    click.echo(f"{registry}: {len(found.models)} models, no mistakes")


def _row(model: Model) -> tuple[str, ...]:
    return (
        model.id,
        model.dialect_name,
        str(model.context_length),
        model.engine,
        model.weights,
        model.stand_in or "the model's own weights",
    )


def _load(path: Path, ids: tuple[str, ...] = ()) -> Registry:
    try:
        return load_registry(path).only(ids)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
