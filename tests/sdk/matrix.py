"""Make docs/clients.md from runs of the clients: `python -m tests.sdk.matrix` writes it."""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from invoke_api.testing import server_running
from tests.sdk.client_table import CLIENTS
from tests.sdk.programs import FOLDER, FORCED, INVOKED, Client, Outcome, run_client
from tests.sdk.ways import Way, find_ways
from tests.support.servers import ROOT

# By name. Only the result of a client that failed raises.
Outcomes = Mapping[str, Future[Outcome]]

FILE = ROOT / "docs" / "clients.md"
HEAD = """\
# Clients

<!-- Made by `python -m tests.sdk.matrix` from what the clients did; a test compares -->

This page shows which clients were run against the service, how to point each at it, and what works.

Each row is a [program](../tests/sdk/clients) that the suite runs: a question, an answer as a
stream, a tool call, a forced tool call, and an answer that is throttled once. A cell names the
operation that the client called. Each answer must have the text, each tool call the name and the
arguments, and each token count must be the service's. No program contains anything about the
service. The variable in its row, a region and an access key point it there, as in the
[README](../README.md#call-it). URL stands for an address such as `http://127.0.0.1:8080`.

"""
COLUMNS = (
    "client",
    "version",
    "plain",
    "streamed",
    "tool",
    "streamed tool",
    "forced tool",
    "streamed forced tool",
    "throttled",
    "variable",
    "remark",
)
FORCED_HEAD = """
"tries again": the client retries by itself. Otherwise the cell has the error that the caller gets.

## Forced tools

Each row is a way in which a client asks for a report that must fit a schema, with its default
settings. Unless the row mentions a rule, the scripted engine answers: it calls a forced tool with
an instance of the schema, and answers a request that has a schema with an instance of it. The
client reads the report, and validates it if it has a model of it (Pydantic's, Zod's).

"auto" and "not said" force nothing. There the scripted engine answers with text; a real model may
call the tool. In a test, use a [rule](test/rules.md) with `tool_calls` to make the call.

"""
FORCED_COLUMNS = ("client", "way", "operation", "model", "tool choice", "got")
INVOKED_HEAD = """
## InvokeModel with `messages`

These rows show what clients of InvokeModel read from the answers of models whose bodies have
`messages`. The answers have three shapes. A chunk of a stream has `delta` for Ministral, `message`
for the others. A client that sends a prompt to these models is refused.

"""
INVOKED_COLUMNS = ("client", "way", "InvokeModel", "InvokeModelWithResponseStream")
READ = {"text": "text", "tokens": "counts", "stop": "finish reason"}
PINNED = re.compile(r"(?P<name>[\w.-]+)(\[.*\])?==(?P<version>.+)")


def run_all(url: str, home: Path) -> Outcomes:
    """Run the clients, two at once, and return their outcomes by name."""
    with ThreadPoolExecutor(2) as pool:
        return {client.name: pool.submit(run_client, client, url, home) for client in CLIENTS}


def report(outcomes: Outcomes) -> str:
    rows = [cells(client, outcomes[client.name].result()) for client in CLIENTS]
    parts = [
        *(HEAD, table(COLUMNS, rows)),
        *(FORCED_HEAD, table(FORCED_COLUMNS, map(forced_cells, all_ways(outcomes, FORCED)))),
        *(INVOKED_HEAD, table(INVOKED_COLUMNS, invoked_rows(outcomes))),
    ]
    return "".join(parts)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def all_ways(outcomes: Outcomes, kinds: Sequence[str]) -> list[Way]:
    return [
        way
        for client in CLIENTS
        for way in find_ways(client, outcomes[client.name].result(), kinds)
    ]


def cells(client: Client, outcome: Outcome) -> list[str]:
    kinds = ("plain", "streamed", "tool", "streamed_tool")
    return [
        client.name,
        f"{client.package} {version_of(client)}",
        *(operation(outcome, kind) for kind in kinds),
        *(forced_operation(client, outcome, kind) for kind in FORCED),
        after_throttling(outcome),
        f"`{client.point}`",
        client.remark,
    ]


def operation(outcome: Outcome, kind: str) -> str:
    if kind not in outcome.answers:
        return "no"
    [name] = {call["operation"] for call in outcome.calls_of(kind)}
    return str(name)


def forced_operation(client: Client, outcome: Outcome, kind: str) -> str:
    ways = [way for way in find_ways(client, outcome, (kind,)) if way.is_forced_call]
    return " and ".join(dict.fromkeys(operations(way) for way in ways)) or "no"


def forced_cells(way: Way) -> list[str]:
    models = dict.fromkeys(f"`{call['model_id']}`" for call in way.calls)
    got = "a report" if way.answer.get("arguments") else failure(way)
    choices = ", then ".join(way.choices)
    return [way.client.name, way.name, operations(way), ", ".join(models), choices, got]


def invoked_rows(outcomes: Outcomes) -> list[list[str]]:
    """Return a row for each way of each client, with what it parsed of an answer and a stream."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for way in all_ways(outcomes, INVOKED):
        found.setdefault((way.client.name, way.name), {})[way.kind] = read(way)
    return [[*key, *(got.get(kind, "no") for kind in INVOKED)] for key, got in found.items()]


def read(way: Way) -> str:
    return ", ".join(READ[key] for key in READ if key in way.answer) or failure(way)


def operations(way: Way) -> str:
    return ", ".join(dict.fromkeys(call["operation"] for call in way.calls))


def failure(way: Way) -> str:
    error = way.answer.get("error")
    return f"`{error}`" if error else "nothing"


def after_throttling(outcome: Outcome) -> str:
    error = outcome.answers["throttled"].get("error")
    return f"`{error}`" if error else "tries again"


def version_of(client: Client) -> str:
    """Return the pinned version, so that the file changes with a pin."""
    is_javascript = client.program.endswith(".mjs")
    return dict(_javascript_versions() if is_javascript else _python_versions())[client.package]


def _python_versions() -> Iterator[tuple[str, str]]:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    for pin in (pin for pins in groups.values() for pin in pins):
        found = PINNED.fullmatch(pin)
        assert found, f"{pin} is not pinned"
        yield found["name"], found["version"]


def _javascript_versions() -> Iterator[tuple[str, str]]:
    lock = json.loads((FOLDER / "package-lock.json").read_text())
    for path, package in lock["packages"].items():
        yield path.removeprefix("node_modules/"), package.get("version", "")


if __name__ == "__main__":
    with TemporaryDirectory() as home, server_running("--engine", "scripted") as url:
        FILE.write_text(report(run_all(url, Path(home))))
