"""The pytest plugin: the fixture `bedrock`, and its calls in the report of a failed test."""

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from reprlib import Repr
from typing import Any

import pytest

from invoke_api.testing.aws_guard import AWS_GUARD
from invoke_api.testing.bedrock import MISTRAL_7B, OVERRIDING_VARIABLES, Bedrock
from invoke_api.testing.journal_entry import JournalEntry
from invoke_api.testing.server import server_running
from invoke_api.testing.sessions import new_session

ENGINE_FLAGS = {
    "scripted": ("--engine", "scripted"),
    "demo": ("--demo",),
}
ALLOWED_HOSTS = "bedrock_allowed_hosts"

# The `Bedrock` of a test, also if only another fixture asked for it, and when the test began.
EMULATED = pytest.StashKey[Bedrock]()
BEGAN = pytest.StashKey[datetime]()
# With --bedrock: the `Bedrock` of clients that are made before any test.
SESSION = pytest.StashKey[Bedrock]()
# The tests by their access keys, and the words for the key of SESSION.
TESTS = pytest.StashKey[dict[str, str]]()
AT_IMPORT = "a client that was made before any test"
# Shortens long prompts in the report to their two ends.
SHORT_REPR = Repr()
SHORT_REPR.maxstring = 400
SHORT_REPR.maxdict = 20


def pytest_addoption(parser: pytest.Parser) -> None:
    sentence = (
        "start an emulated Bedrock before tests are collected, for clients that are made at import,"
        " and give each test rules and calls of its own"
    )
    group = parser.getgroup("bedrock")
    group.addoption("--bedrock", action="store_true", help=sentence)
    parser.addini("bedrock", f"as --bedrock: {sentence}", type="bool", default=False)
    parser.addini(
        ALLOWED_HOSTS,
        "hosts of AWS that tests with an emulated Bedrock may call",
        type="linelist",
        default=[],
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "bedrock(model=..., engine='scripted', guardrails=None): what bedrock.model is, the engine"
        " behind it, 'demo' for real vLLM on a small model, and a file of guardrails",
    )
    config.stash[TESTS] = {}
    if (config.getoption("--bedrock") or config.getini("bedrock")) and _runs_tests(config):
        stack = ExitStack()
        config.add_cleanup(stack.close)
        emulated = Bedrock(stack.enter_context(server_running(*ENGINE_FLAGS["scripted"])))
        stack.enter_context(_in_environment(emulated, config))
        config.stash[SESSION] = emulated
        config.stash[TESTS][emulated.access_key_id] = AT_IMPORT


def _runs_tests(config: pytest.Config) -> bool:
    """Tell whether this process runs tests itself: not if pytest-xdist's workers do."""
    return hasattr(config, "workerinput") or not config.getoption("numprocesses", None)


@contextmanager
def _in_environment(emulated: Bedrock, config: pytest.Config) -> Iterator[None]:
    """Direct AWS SDKs to this `Bedrock`, and refuse calls to the real AWS."""
    with pytest.MonkeyPatch.context() as patch, AWS_GUARD.on(config.getini(ALLOWED_HOSTS)):
        for name, value in emulated.environment.items():
            patch.setenv(name, value)
        for name in OVERRIDING_VARIABLES:
            patch.delenv(name, raising=False)
        if "boto3" in sys.modules:  # its default session caches credentials
            patch.setattr(sys.modules["boto3"], "DEFAULT_SESSION", new_session())
        yield


@pytest.fixture(scope="session")
def bedrock_server(pytestconfig: pytest.Config) -> Iterator[Callable[..., str]]:
    """Return a function that starts a service with given flags, once, and returns its URL."""
    with ExitStack() as stack:
        urls: dict[tuple[str, ...], str] = {}
        if session := pytestconfig.stash.get(SESSION, None):
            urls[ENGINE_FLAGS["scripted"]] = session.url

        def url_of(*flags: str) -> str:
            if flags not in urls:
                urls[flags] = stack.enter_context(server_running(*flags))
            return urls[flags]

        yield url_of


@pytest.fixture
def bedrock(
    request: pytest.FixtureRequest, bedrock_server: Callable[..., str]
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
    request.node.stash[BEGAN] = datetime.now(UTC)
    request.config.stash[TESTS][emulated.access_key_id] = request.node.nodeid
    session = request.config.stash.get(SESSION, None)
    if session and session.url == emulated.url:
        emulated.stand_in(session.access_key_id)
    with _in_environment(emulated, request.config):
        yield emulated
    emulated.reset()


@pytest.fixture(autouse=True)
def _bedrock_for_each_test(request: pytest.FixtureRequest) -> None:
    """With --bedrock, give each test rules and calls of its own, asked for or not."""
    if SESSION in request.config.stash:
        request.getfixturevalue("bedrock")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    if report.when != "teardown" and report.failed:
        for emulated in _emulated_for(item):
            report.sections += _sections(emulated, item)
    return report


def _emulated_for(item: pytest.Item) -> list[Bedrock]:
    """Return the `Bedrock` of the fixture, and those that fixtures of the test suite made."""
    given = [item.stash.get(EMULATED, None), *getattr(item, "funcargs", {}).values()]
    found = {each.access_key_id: each for each in given if isinstance(each, Bedrock)}
    return [*found.values()]


def _sections(emulated: Bedrock, item: pytest.Item) -> list[tuple[str, str]]:
    try:
        calls, rules = emulated.requests, emulated.explain()
        others = emulated.requests_of_others() if item.stash.get(EMULATED, None) == emulated else []
    except (OSError, ValueError) as error:  # a server that a fixture of the suite has ended
        return [("Bedrock requests", f"unknown: {error}")]
    lines = [_line(call) for call in calls] or ["none"]
    foreign = [_foreign_line(call, item) for call in others if _is_during(call, item)]
    return [
        ("Bedrock requests", "\n".join(lines)),
        *([("Bedrock requests with other access keys", "\n".join(foreign))] if foreign else []),
        *([("Bedrock rules", "\n".join(rules))] if rules else []),
    ]


def _is_during(call: JournalEntry, item: pytest.Item) -> bool:
    """Tell whether a call began after this test; earlier ones belong to tests before."""
    # The journal's times have whole milliseconds.
    began = item.stash[BEGAN] - timedelta(milliseconds=1)
    return datetime.fromisoformat(call.time) > began


def _foreign_line(call: JournalEntry, item: pytest.Item) -> str:
    key = call.access_key_id
    owner = item.config.stash[TESTS].get(key or "")
    whose = f"the key of {owner}" if owner else f"the access key {key}, which is no test's"
    return f"with {whose}, so this test's rules did not apply: {_line(call)}"


def _line(call: JournalEntry) -> str:
    error = call.error
    came = f"{error['type']}: {error['message']}" if error else SHORT_REPR.repr(call.text)
    asked = f"{call.operation} {call.model_id} {SHORT_REPR.repr(call.body)}"
    return f"{asked} -> {call.ended}: {came}"
