"""`invoke-api`: serve, record, exec, models, check."""

import asyncio
import logging
import sys
from pathlib import Path
from typing import Any

import click

from invoke_api import __version__
from invoke_api.cassettes.writer import CassetteWriter
from invoke_api.models.adapter_checks import remarks, slot_problems
from invoke_api.models.engine_factory import missing_weights
from invoke_api.models.registry import Model, Registry
from invoke_api.observability.log_format import set_up_logs
from invoke_api.pipeline.request_body import Calls
from invoke_api.recording.settings import RECORD_OPTIONS, RecordSettings
from invoke_api.server.bootstrap import (
    LISTENS,
    Service,
    as_sentences,
    listen,
    load_models,
    look_for_weights,
    run,
    serve_alone,
)
from invoke_api.server.environment import (
    KEY_VARIABLES,
    REMOTE_KEY_VARIABLE,
    run_with,
    strange_variables,
)
from invoke_api.server.flags import registry_option, with_options
from invoke_api.server.http_server import Grace, to_url
from invoke_api.server.settings import SERVE_OPTIONS, Settings
from invoke_api.server.workers import serve_with_workers
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
    registry = load_served(settings)
    if settings.workers > 1:
        sys.exit(serve_with_workers(settings, registry))
    serve_alone(settings, registry)


def load_served(settings: Settings) -> Registry:
    """Return the models to serve. Warn of variables that nobody knows.

    Raises `click.ClickException` if none can be served.
    """
    every = load_models(settings.registry)
    for remark in strange_variables(_known_variables(every)):
        log.warning(remark)
    with as_sentences():
        registry = every.only(settings.model)
    look_for_weights(settings, registry)
    return registry


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
    listener = listen(settings.host, settings.port)
    calls = Calls()
    recorder = create_recorder(upstream, writer, calls, settings.doors)
    url = to_url(listener)
    service = Service(recorder, calls, tls=None, grace=Grace())
    asyncio.run(run(service, listener, lambda: log.info(LISTENS, __version__, url)))
    log.info("stopped")


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
    rows += [_row(model) for model in load_models(registry).models.values()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


@main.command()
@registry_option
def check(registry: Path) -> None:
    """Check the registry and its schemas; every mistake with file, line and a sentence."""
    found = load_models(registry)
    for model in found.models.values():
        if model.engine == "remote" and "url" not in model.remote:
            click.echo(f"{model.id}: has the engine remote and no url, so serve needs --remote URL")
    _check_weights(found)
    count = len(found.arns)
    arns = f", {count} ARN{'s' if count > 1 else ''}" if count else ""
    click.echo(f"{registry}: {len(found.models)} models{arns}, no mistakes")


def _check_weights(registry: Registry) -> None:
    """Raises `click.ClickException` for folders that are missing; the hub's files may come yet.

    Likewise for adapters that can't be put on their weights.
    """
    models = [model for model in registry.models.values() if model.engine == "vllm"]
    missing = [each for model in models if (each := missing_weights(model))]
    wrong = [each.sentence for each in missing if not each.hub_id] + [*slot_problems(models)]
    if wrong:
        raise click.ClickException("\n".join(wrong))
    for remark in remarks(models):
        click.echo(remark)
    if ids := dict.fromkeys(each.hub_id for each in missing if each.hub_id):
        click.echo(f"not in the local cache of Hugging Face's hub: {', '.join(ids)}")


def _known_variables(registry: Registry) -> set[str]:
    flags = {str(option.envvar) for option in serve_command.params if option.envvar}
    named = {model.remote.get("api_key_variable") for model in registry.models.values()}
    return {*flags, *filter(None, named), *KEY_VARIABLES, REMOTE_KEY_VARIABLE}


def _row(model: Model) -> tuple[str, ...]:
    return (
        model.id,
        model.dialect_name,
        str(model.context_length),
        model.engine,
        f"{model.weights} + {model.adapter.name}" if model.adapter else model.weights,
        model.stand_in or "the model's own weights",
    )
