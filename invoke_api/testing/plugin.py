"""The pytest plugin: the fixture `bedrock`, and its calls in the report of a failed test."""

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from reprlib import Repr
from typing import Any

import pytest

from invoke_api.testing.bedrock import MISTRAL_7B, OVERRIDING_VARIABLES, Bedrock
from invoke_api.testing.server import server_running
from invoke_api.testing.sessions import new_session

ENGINE_FLAGS = {
    "scripted": ("--engine", "scripted"),
    "demo": ("--demo",),
}

# The `Bedrock` of a test, also if only another fixture asked for it.
EMULATED = pytest.StashKey[Bedrock]()
# Shortens long prompts in the report to their two ends.
SHORT_REPR = Repr()
SHORT_REPR.maxstring = 400
SHORT_REPR.maxdict = 20


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "bedrock(model=..., engine='scripted', guardrails=None): what bedrock.model is, the engine"
        " behind it, 'demo' for real vLLM on small checkpoints, and a file of guardrails",
    )


@pytest.fixture(scope="session")
def bedrock_server() -> Iterator[Callable[..., str]]:
    """Return a function that starts a service with given flags, once, and returns its URL."""
    with ExitStack() as stack:
        urls: dict[tuple[str, ...], str] = {}

        def url_of(*flags: str) -> str:
            if flags not in urls:
                urls[flags] = stack.enter_context(server_running(*flags))
            return urls[flags]

        yield url_of


@pytest.fixture
def bedrock(
    request: pytest.FixtureRequest,
    bedrock_server: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Bedrock]:
    """Yield a `Bedrock` for this test, and set the environment variables of AWS SDKs for it."""
    marker = request.node.get_closest_marker("bedrock")
    wanted: dict[str, str] = dict(marker.kwargs) if marker else {}
    engine, model = wanted.pop("engine", "scripted"), wanted.pop("model", MISTRAL_7B)
    guardrails = wanted.pop("guardrails", None)
    if wanted or engine not in ENGINE_FLAGS:
        known = ", ".join(ENGINE_FLAGS)
        raise pytest.UsageError(
            f"the bedrock marker takes model, guardrails, and engine, one of {known}"
        )
    flags = ("--guardrails", str(Path(guardrails).resolve())) if guardrails else ()
    emulated = Bedrock(bedrock_server(*ENGINE_FLAGS[engine], *flags), model)
    request.node.stash[EMULATED] = emulated
    for name, value in emulated.environment.items():
        monkeypatch.setenv(name, value)
    for name in OVERRIDING_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    if "boto3" in sys.modules:  # its default session caches credentials
        monkeypatch.setattr(sys.modules["boto3"], "DEFAULT_SESSION", new_session())
    yield emulated
    emulated.reset()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    if report.when != "teardown" and report.failed:
        for emulated in _emulated_for(item):
            report.sections += _sections(emulated)
    return report


def _emulated_for(item: pytest.Item) -> list[Bedrock]:
    """Return the `Bedrock` of the fixture, and those that fixtures of the test suite made."""
    given = [item.stash.get(EMULATED, None), *getattr(item, "funcargs", {}).values()]
    found = {each.access_key_id: each for each in given if isinstance(each, Bedrock)}
    return [*found.values()]


def _sections(emulated: Bedrock) -> list[tuple[str, str]]:
    try:
        calls, rules = emulated.requests, emulated.explain()
    except (OSError, ValueError) as error:  # a server that a fixture of the suite has ended
        return [("Bedrock requests", f"unknown: {error}")]
    lines = [_line(call) for call in calls] or ["none"]
    return [
        ("Bedrock requests", "\n".join(lines)),
        *([("Bedrock rules", "\n".join(rules))] if rules else []),
    ]


def _line(call: dict[str, Any]) -> str:
    error = call["error"]
    came = f"{error['type']}: {error['message']}" if error else SHORT_REPR.repr(call["text"])
    asked = f"{call['operation']} {call['model_id']} {SHORT_REPR.repr(call['body'])}"
    return f"{asked} -> {call['ended']}: {came}"
