"""The command line `invoke-api`: serve, record, exec, convert, models, check and plan."""

import json
import logging
import sys
from pathlib import Path
from typing import Any

import click

from engine.demo.smollm2 import NAME as SMOLLM2
from invoke_api import __version__
from invoke_api.cassettes.writer import CassetteWriter
from invoke_api.conversion.fixture_files import convert_file
from invoke_api.models.engine_factory import uses_smollm2
from invoke_api.models.registry import Model, Registry
from invoke_api.models.report import (
    apis_of,
    check_registry,
    model_as_json,
    stand_in_of,
    weights_of,
)
from invoke_api.observability.log_format import set_up_logs
from invoke_api.pipeline.request_body import InFlightCalls
from invoke_api.recording.settings import RECORD_OPTIONS, RecordSettings
from invoke_api.server.bootstrap import (
    ServedApp,
    check_weights,
    choice_of,
    click_errors,
    listen,
    load_models,
    run_alone,
    serve_alone,
)
from invoke_api.server.environment import (
    KEY_VARIABLES,
    REMOTE_KEY_VARIABLE,
    run_command,
    set_up_vllm_logs,
    unknown_variables,
)
from invoke_api.server.flags import registry_option, with_options
from invoke_api.server.http_server import Grace
from invoke_api.server.parent import stop_with_stdin
from invoke_api.server.settings import SERVE_OPTIONS, Settings
from invoke_api.server.workers import serve_with_workers
from invoke_api.sizes.command import gpu_option, plan, warnings_of_misfits
from invoke_api.sizes.devices import Devices
from invoke_api.testing import OVERRIDING_VARIABLES, bedrock_running

log = logging.getLogger(__name__)


@click.group()
@click.version_option(__version__, message="%(version)s")
def main() -> None:
    """Emulate the Amazon Bedrock Runtime API for Mistral AI models on your own machine."""


@main.command("serve")
@with_options(SERVE_OPTIONS)
def serve_command(**flags: Any) -> None:  # noqa: ANN401 - Settings names and types them
    """Serve the Bedrock Runtime API."""
    settings = Settings(**flags)
    set_up_logs(settings.log_format, settings.log_level)
    set_up_vllm_logs(settings.log_format, settings.log_level)
    if settings.stop_with_stdin:
        stop_with_stdin()
    registry = load_served(settings)
    if settings.demo and uses_smollm2(choice_of(settings)):
        log.info("%s stands in for every model: no answer is of a model of Mistral's", SMOLLM2)
    if settings.workers > 1:
        sys.exit(serve_with_workers(settings, registry))
    serve_alone(settings, registry)


def load_served(settings: Settings) -> Registry:
    """Return the models to serve, and log unknown variables.

    Raises `click.ClickException` if no model can be served.
    """
    every = load_models(settings.registry)
    for remark in unknown_variables(_known_variables(every)):
        log.warning(remark)
    with click_errors():
        registry = every.only(settings.model)
    check_weights(settings, registry)
    return registry


@main.command("record")
@with_options(RECORD_OPTIONS)
def record_command(**flags: Any) -> None:  # noqa: ANN401 - RecordSettings names and types them
    """Forward an app's calls to Bedrock, and record calls and answers in cassettes.

    Calls are signed with your AWS credentials, which are found as boto3 finds them.
    """
    settings = RecordSettings(**flags)
    set_up_logs(settings.log_format, settings.log_level)
    try:
        from invoke_api.recording.app import create_recorder  # noqa: PLC0415 - httpx is an extra
        from invoke_api.recording.upstream import open_upstream  # noqa: PLC0415 - the same
    except ImportError as error:
        raise click.ClickException(f"{error}: install bedrock-invoke-api[record]") from error
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
    calls = InFlightCalls()
    recorder = create_recorder(upstream, writer, calls, settings.browser_access)
    run_alone(ServedApp(recorder, calls, tls=None, grace=Grace()), listener)


@main.command(
    "exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.option(
    "--rules",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of rules for replies and faults.",
)
@click.option(
    "--demo", is_flag=True, help="Use vLLM on a small model instead of the scripted engine."
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_command(rules: Path | None, command: tuple[str, ...], *, demo: bool) -> None:
    """Run a command with its own server. Variables direct the AWS SDKs to the server.

    If the command fails, stderr says why rules applied to its calls, or did not.
    """
    flags = ["--demo"] if demo else ["--engine", "scripted"]
    flags += ["--rules", str(rules)] if rules else []
    try:
        with bedrock_running(*flags) as bedrock:
            status = run_command(command, bedrock.environment, without=OVERRIDING_VARIABLES)
            if status:
                report = bedrock.explain(everybody=True) or ["The command made no calls."]
                click.echo("\n".join(["Bedrock rules:", *report]), err=True)
            sys.exit(status)
    except (RuntimeError, OSError) as error:
        raise click.ClickException(str(error)) from error


@main.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@registry_option
def convert(file: Path, registry: Path) -> None:
    """Print the rules for a file of fixtures of aimock, or of Step Functions Local (MiniStack).

    The rules are JSON, for --rules. Notes on what differs go to stderr.
    """
    with click_errors():
        converted = convert_file(file, sorted(load_models(registry).names()))
    for note in converted.notes:
        click.echo(note, err=True)
    click.echo(json.dumps({"rules": converted.rules}, indent=2, ensure_ascii=False))


JSON_FLAG = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON: docs/operate/models.md has its keys."
)


@main.command()
@registry_option
@click.option("--demo", is_flag=True, help="As `serve --demo` runs them.")
@JSON_FLAG
def models(registry: Path, *, demo: bool, as_json: bool) -> None:
    """List the models of the registry."""
    found = load_models(registry).models.values()
    if as_json:
        rows_as_json = [model_as_json(model, demo=demo) for model in found]
        _print_json({"registry": str(registry), "models": rows_as_json})
        return
    rows: list[tuple[str, ...]] = [
        ("MODEL", "DIALECT", "SERVED BY", "CONTEXT", "ENGINE", "WEIGHTS", "FAITHFULNESS")
    ]
    rows += [_row(model, demo=demo) for model in found]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


main.add_command(plan)


@main.command()
@registry_option
@gpu_option
@JSON_FLAG
def check(registry: Path, gpu: Devices | None, *, as_json: bool) -> None:
    """Check the registry and its schemas, and print each mistake with its file and line.

    Warnings say which models do not fit on the GPUs.
    """
    report = check_registry(registry)
    if report.found and not report.mistakes:
        report.notes += warnings_of_misfits(report.found, gpu)
    if as_json:
        _print_json(report.as_json())
        sys.exit(1 if report.mistakes else 0)
    if report.mistakes or report.found is None:
        raise click.ClickException("\n".join(report.mistakes))
    for note in report.notes:
        click.echo(note)
    count = len(report.found.arns)
    arns = f", {count} ARN{'s' if count > 1 else ''}" if count else ""
    click.echo(f"{registry}: {len(report.found.models)} models{arns}, no mistakes")


def _print_json(value: dict[str, Any]) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _known_variables(registry: Registry) -> set[str]:
    flags = {str(option.envvar) for option in serve_command.params if option.envvar}
    named = {model.remote.get("api_key_variable") for model in registry.models.values()}
    return {*flags, *filter(None, named), *KEY_VARIABLES, REMOTE_KEY_VARIABLE}


def _row(model: Model, *, demo: bool) -> tuple[str, ...]:
    weights = weights_of(model, demo=demo)
    is_own = weights == model.weights
    return (
        model.id,
        model.dialect_name,
        ", ".join(apis_of(model)),
        str(model.context_length),
        model.engine,
        f"{weights} + {model.adapter.name}" if model.adapter and is_own else weights,
        stand_in_of(model, demo=demo) or "the model's own weights",
    )
