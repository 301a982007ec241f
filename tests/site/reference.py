"""The generator of docs/reference: `python -m tests.site.reference` writes its pages.

Each page is made of what the code itself uses: schemas, commands, routes and metrics.
"""

import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from invoke_api.cli import main
from invoke_api.control.openapi import openapi_route
from invoke_api.control.routes import EmulatorRoute
from invoke_api.models.registry import DEFAULT_REGISTRY
from invoke_api.observability.call_metrics import CallMetrics
from invoke_api.observability.engine_metrics import EngineMetrics
from invoke_api.observability.metrics import LoopMetrics
from invoke_api.server.app import CONTROL_ROUTES, PUBLIC_ROUTES
from invoke_api.server.environment import KEY_VARIABLES, REMOTE_KEY_VARIABLE
from tests.site.schema_tables import cell, keys_table, table
from tests.support.servers import ROOT

FOLDER = ROOT / "docs" / "reference"
HEAD = """\
# {title}

<!-- Made by `python -m tests.site.reference` from the code; a test compares -->

{begin}

"""
Schema = Mapping[str, Any]


def schema_of(name: str) -> Schema:
    schema: Schema = json.loads((ROOT / "schemas" / name).read_text())
    return schema


def sections(schema: Schema, names: Mapping[str, str]) -> Iterator[str]:
    """Yield a section for each definition of an object, with a sentence and a table of its keys."""
    for name, sentence in names.items():
        keys = keys_table(schema["$defs"][name], schema["$defs"], names)
        yield f"## {name}\n\n{sentence}\n\n{keys}\n"


RULES = {
    "rule": "One rule of the list `rules`.",
    "when": "All conditions must hold. Without `when`, a rule matches every call.",
    "text": "A string is searched as it is. An object has this key.",
    "turn": "One reply of a list, or the only one. A text stands for an object with `text` alone.",
    "one_reply": "An object that is the only reply. It may have several `texts`, used in order.",
    "fault": "A text stands for an object with `exception` or `break` alone.",
    "pace": "The speed of a reply.",
}


def rules() -> str:
    schema = schema_of("rules.json")
    begin = (
        "This page lists every key of a rule, with its type and limits. [Rules](../test/rules.md)"
        " shows how to use them. The source is"
        " [schemas/rules.json](../../schemas/rules.json)."
    )
    return HEAD.format(title="Keys of a rule", begin=begin) + "\n".join(sections(schema, RULES))


REGISTRY = {
    "model": "One model of the list `models`.",
    "listing": "One model of the list `not_run`.",
    "arn": "One entry of the list `arns`.",
    "endpoint": "One entry of the list `endpoints`.",
    "converse": "What the catalogue says about Converse.",
}


def registry() -> str:
    schema = schema_of("model_registry.json")
    begin = (
        "This page lists every key of a registry, with its type and limits."
        " [Models and the registry](../operate/models.md) shows how to use them. The source is"
        " [schemas/model_registry.json](../../schemas/model_registry.json)."
    )
    top = f"## Lists of the file\n\n{keys_table(schema, schema['$defs'], REGISTRY)}\n"
    parts = [top, *sections(schema, REGISTRY)]
    return HEAD.format(title="Keys of the registry", begin=begin) + "\n".join(parts)


def command_line() -> str:
    begin = (
        "This page lists the commands of `invoke-api` with their flags. A flag overrides its"
        " variable. [Settings](../operate/settings.md) says how mistakes are reported."
    )
    secret = ", ".join(f"`{name}`" for name in (*KEY_VARIABLES, REMOTE_KEY_VARIABLE))
    end = (
        f"## Variables without a flag\n\n{secret} hold secrets: see"
        " [keys](../operate/authentication.md) and"
        " [a model server elsewhere](../operate/remote.md).\n"
    )
    parts = [*(command_section(name, each) for name, each in main.commands.items()), end]
    return HEAD.format(title="Command line", begin=begin) + "\n".join(parts)


def command_section(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=f"invoke-api {name}")
    usage = command.get_usage(context).removeprefix("Usage: ")
    text = inspect.cleandoc(command.help or "")
    options = [each for each in command.params if isinstance(each, click.Option)]
    rows = table(("flag", "variable", "default", "meaning"), map(option_row, options))
    return f"## {name}\n\n{text}\n\n```text\n{' '.join(usage.split())}\n```\n\n{rows}"


def option_row(option: click.Option) -> tuple[str, ...]:
    flags = ", ".join(f"`{flag}`" for flag in (*option.opts, *option.secondary_opts))
    variable = f"`{option.envvar}`" if option.envvar else ""
    kind = option.type
    words = option.help or ""
    if isinstance(kind, click.Choice):
        words += f" One of {', '.join(f'`{each}`' for each in kind.choices)}."
    return flags, variable, default_of(option), cell(words)


def default_of(option: click.Option) -> str:
    """Return the default of a flag, unless its words say it or it is a path of this machine."""
    default = option.to_info_dict()["default"]
    if default == DEFAULT_REGISTRY:
        return "the shipped registry"
    is_told = isinstance(default, (str, int, float)) and not isinstance(default, bool)
    return f"`{default}`" if is_told and default != "" else ""


def control() -> str:
    begin = (
        "This page lists the routes of the emulator itself."
        " [The control API](../test/control-api.md) says who may use them and shows examples."
    )
    public = "".join(map(route_section, [*PUBLIC_ROUTES, openapi_route(PUBLIC_ROUTES)]))
    own = "".join(map(route_section, CONTROL_ROUTES))
    return (
        HEAD.format(title="Control routes", begin=begin)
        + f"## For operators\n\nThese routes need no key.\n\n{public}"
        + "## For tests\n\nThese routes exist with `--control`, and by default with"
        + f" `--auth none`.\n\n{own}"
    )


def route_section(route: EmulatorRoute) -> str:
    methods = ", ".join(method for method in route.methods if method != "HEAD")
    text = inspect.getdoc(route.answer) or ""
    return f"### `{route.path}`\n\n{methods}. {text}\n\n"


def metrics() -> str:
    begin = (
        "This page lists the service's own metrics, which `GET /metrics` exports beside those of"
        " the process. [Metrics](../operate/metrics.md) explains them and compares them with"
        " CloudWatch's."
    )
    rows = map(metric_row, own_metrics())
    body = table(("metric", "type", "labels", "meaning"), rows)
    return HEAD.format(title="List of metrics", begin=begin) + body


def own_metrics() -> list[MetricWrapperBase]:
    """Return the metrics of a service without engines, in the order of their names."""
    collected = CollectorRegistry()
    kept = [CallMetrics(collected), EngineMetrics([], collected), LoopMetrics(collected)]
    found = {
        each
        for each in collected._collector_to_names  # noqa: SLF001 - it has no other list
        if isinstance(each, MetricWrapperBase)
    }
    assert len(kept) == 3
    return sorted(found, key=lambda each: each._name)  # noqa: SLF001 - a collected one may be empty


def metric_row(metric: MetricWrapperBase) -> tuple[str, ...]:
    name = metric._name + ("_total" if metric._type == "counter" else "")  # noqa: SLF001
    labels = ", ".join(f"`{label}`" for label in metric._labelnames)  # noqa: SLF001
    return f"`{name}`", str(metric._type), labels, cell(metric._documentation)  # noqa: SLF001


PAGES: Mapping[str, Callable[[], str]] = {
    "rules.md": rules,
    "control.md": control,
    "command-line.md": command_line,
    "registry.md": registry,
    "metrics.md": metrics,
}


def render(name: str) -> str:
    """Return the text of a page."""
    return re.sub(r"\n{3,}", "\n\n", PAGES[name]()).rstrip() + "\n"


def write() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name in PAGES:
        (FOLDER / name).write_text(render(name))


if __name__ == "__main__":
    write()
