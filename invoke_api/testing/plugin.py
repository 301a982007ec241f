"""The pytest plugin: a fixture `bedrock`, and a failed test that shows what was asked of it."""

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from reprlib import Repr
from typing import Any

import pytest

from invoke_api.testing.bedrock import LOUDER, SEVEN_B, Bedrock
from invoke_api.testing.server import server_running
from invoke_api.testing.sessions import new_session

FLAGS = {
    "scripted": ("--engine", "scripted"),
    "demo": ("--demo",),
}

# A prompt may be a book; its two ends say which one it was.
SHORT = Repr()
SHORT.maxstring = 400
SHORT.maxdict = 20


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "bedrock(model=..., engine='scripted', guardrails=None): what bedrock.model is, the engine"
        " behind it, 'demo' for real vLLM on small checkpoints, and a file of guardrails",
    )


@pytest.fixture(scope="session")
def bedrock_server() -> Iterator[Callable[..., str]]:
    """From flags to the URL of a service with these, started at its first use."""
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
    """Bedrock for this test alone; SDKs that look into the environment find it there."""
    marker = request.node.get_closest_marker("bedrock")
    wanted: dict[str, str] = dict(marker.kwargs) if marker else {}
    engine, model = wanted.pop("engine", "scripted"), wanted.pop("model", SEVEN_B)
    guardrails = wanted.pop("guardrails", None)
    if wanted or engine not in FLAGS:
        known = ", ".join(FLAGS)
        raise pytest.UsageError(
            f"bedrock marks take model, guardrails, and engine, which is one of {known}"
        )
    flags = ("--guardrails", str(Path(guardrails).resolve())) if guardrails else ()
    emulated = Bedrock(bedrock_server(*FLAGS[engine], *flags), model)
    for name, value in emulated.environment.items():
        monkeypatch.setenv(name, value)
    for name in LOUDER:
        monkeypatch.delenv(name, raising=False)
    if "boto3" in sys.modules:  # its default session keeps the keys that it found first
        monkeypatch.setattr(sys.modules["boto3"], "DEFAULT_SESSION", new_session())
    yield emulated
    emulated.reset()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    emulated = getattr(item, "funcargs", {}).get("bedrock")
    if report.when == "call" and report.failed and isinstance(emulated, Bedrock):
        lines = [_line(call) for call in emulated.requests] or ["none"]
        report.sections.append(("Bedrock requests", "\n".join(lines)))
    return report


def _line(call: dict[str, Any]) -> str:
    error = call["error"]
    came = f"{error['type']}: {error['message']}" if error else SHORT.repr(call["text"])
    asked = f"{call['operation']} {call['model_id']} {SHORT.repr(call['body'])}"
    return f"{asked} -> {call['ended']}: {came}"
