"""docs/clients.md, made of what the clients did: `python -m tests.sdk.matrix` writes it."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from invoke_api.testing import server_running
from tests.sdk.client_table import CLIENTS
from tests.sdk.programs import FOLDER, Client, Outcome, run_client
from tests.servers import ROOT

# By name; a client that failed raises when it is asked for, and the others do not.
Outcomes = Mapping[str, Future[Outcome]]

FILE = ROOT / "docs" / "clients.md"
HEAD = """\
# Clients

<!-- Made by `python -m tests.sdk.matrix` from what the clients did; a test compares -->

Each row is a [program](../tests/sdk/clients) that the suite runs against the service: one question,
one answer as a stream, a tool to call, and an answer that is throttled once. The cells name the
operation that came. Every answer must have the text, every call of a tool the name and the
arguments, and every count of tokens must be the service's. Nothing in a program is about the
service: the variable beside it, a region and an access key are what points it there, as the
[README](../README.md#call-it) says. URL is `http://127.0.0.1:8080`, say.

| client | version | plain | streamed | tool | streamed tool | throttled | variable | remark |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""
FOOT = """
"tries again" is the client's own doing; else the error is what its caller gets.
"""
PINNED = re.compile(r"(?P<name>[\w.-]+)(\[.*\])?==(?P<version>.+)")


def run_all(url: str, home: Path) -> Outcomes:
    """What each client did, by its name; two at once, since much of it is waiting."""
    with ThreadPoolExecutor(2) as pool:
        return {client.name: pool.submit(run_client, client, url, home) for client in CLIENTS}


def report(outcomes: Outcomes) -> str:
    rows = [cells(client, outcomes[client.name].result()) for client in CLIENTS]
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows) + FOOT


def cells(client: Client, outcome: Outcome) -> list[str]:
    kinds = ("plain", "streamed", "tool", "streamed_tool")
    return [
        client.name,
        f"{client.package} {versions()[client.package]}",
        *(operation(outcome, kind) for kind in kinds),
        after_throttling(outcome),
        f"`{client.point}`",
        client.remark,
    ]


def operation(outcome: Outcome, kind: str) -> str:
    if kind not in outcome.answers:
        return "no"
    [name] = {call["operation"] for call in outcome.calls_of(kind)}
    return str(name)


def after_throttling(outcome: Outcome) -> str:
    error = outcome.answers["throttled"].get("error")
    return f"`{error}`" if error else "tries again"


def versions() -> dict[str, str]:
    """As pinned, so that the file changes when a pin does."""
    return dict([*_python_versions(), *_javascript_versions()])


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
