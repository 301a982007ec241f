"""`/metrics`: outcomes, durations and tokens of calls, and the current state of engines."""

import gzip
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from http.client import IncompleteRead
from math import nan
from pathlib import Path
from typing import Any

import pytest
from h2.events import StreamEnded
from prometheus_client import REGISTRY, Counter

from engine.errors import EngineTimeout
from engine.lifecycle.lru_pool import LruPool
from engine.protocol import EngineLimits, EngineState
from invoke_api import __version__
from invoke_api.cassettes.writer import CassetteWriter
from invoke_api.observability.exposition import Exposition
from invoke_api.observability.metrics import Metrics
from invoke_api.pipeline.count_calls import ERROR_STATUSES
from invoke_api.server.app import OPERATION_ROUTES
from tests.cassettes.test_reader import a_recording
from tests.rules.test_rules import rule
from tests.support.http2 import Client
from tests.support.metrics import CALLS, Scrape, new_calls
from tests.support.servers import (
    COMMAND,
    ROOT,
    SEVEN_B,
    call,
    command_running,
    connect,
    engine_running,
    wait_until_ready,
)
from tests.support.servers import invoke as invoke_
from tests.support.stubs import StubEngine, SwappedStub
from tests.support.waiting import until

INVOKE, STREAM = "InvokeModel", "InvokeModelWithResponseStream"
PATHS = {INVOKE: "invoke", STREAM: "invoke-with-response-stream"}
DOCUMENT = (ROOT / "docs" / "operate" / "metrics.md").read_text()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with command_running([*COMMAND, "--engine", "scripted", "--quotas"]) as url:
        wait_until_ready(url, seconds=30)
        yield url


@pytest.fixture(autouse=True)
def fresh(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "url" in request.fixturenames:
        call(request.getfixturevalue("url"), "POST", "/_emulator/reset")


def labels(outcome: str, status: str = "200", error: str = "", **more: str) -> dict[str, str]:
    known = {"operation": INVOKE, "model_id": SEVEN_B}
    return {"outcome": outcome, "status": status, "error": error, **known, **more}


def counted(url: str, ask: Callable[[], object], calls: int = 1) -> list[Mapping[str, str]]:
    """Run `ask`, wait until so many calls were counted, and return their labels."""
    before, after = Scrape(url), Scrape(url)
    ask()

    def look() -> bool:
        nonlocal after
        after = Scrape(url)
        return after.sum(CALLS) >= before.sum(CALLS) + calls

    until(look)
    return ordered(*new_calls(before, after))


def ordered(*calls: Mapping[str, str]) -> list[Mapping[str, str]]:
    return sorted(calls, key=lambda call: sorted(call.items()))


@pytest.mark.parametrize("operation", [INVOKE, STREAM])
@pytest.mark.parametrize("outcome", ["stop", "length"])
def test_an_answer_is_counted_with_its_tokens_and_times(
    url: str, operation: str, outcome: str
) -> None:
    rule(url, reply=" one two three")
    most = 2 if outcome == "length" else 50
    before = Scrape(url)
    seen = counted(
        url, lambda: invoke_(url, {"prompt": "Hi", "max_tokens": most}, operation=PATHS[operation])
    )
    after = Scrape(url)

    def grown(name: str) -> float:
        of = {"operation": operation, "model_id": SEVEN_B}
        return after.sum(f"invoke_api_{name}", **of) - before.sum(f"invoke_api_{name}", **of)

    assert seen == [labels(outcome, operation=operation)]
    assert grown("input_tokens_total") == 2
    assert grown("output_tokens_total") == (2 if outcome == "length" else 4)  # includes the EOS
    for name in ("call_duration", "time_to_first_token", "time_per_output_token"):
        assert grown(f"{name}_seconds_count") == 1, name
        assert 0 <= grown(f"{name}_seconds_sum") < 5, name
    assert grown("time_to_first_token_seconds_sum") <= grown("call_duration_seconds_sum")


def test_times_are_those_of_the_tokens() -> None:
    with engine_running(StubEngine([" a", " b", " c", " d"], pause=0.1)) as url:
        invoke_(url, {"prompt": "Hi"})
        until(lambda: Scrape(url).sum(CALLS) == 1)
        scrape = Scrape(url)

    first = scrape.sum("invoke_api_time_to_first_token_seconds_sum")
    each = scrape.sum("invoke_api_time_per_output_token_seconds_sum")
    whole = scrape.sum("invoke_api_call_duration_seconds_sum")
    assert first >= 0.1
    assert each >= 0.075  # no pause precedes the fifth, which ends the answer
    assert whole == pytest.approx(first + 4 * each)


NO_MODEL = labels("client_error", "400", "ValidationException", model_id="")
REFUSED = {
    "malformed body": ("{}", {}, labels("client_error", "400", "ValidationException")),
    "unknown model": ("{}", {"model": "mistral.nope-v9:9"}, NO_MODEL),
    "body too long": (" " * 25_000_001, {}, NO_MODEL),
    "model without access": (
        "{}",
        {"model": "anthropic.claude-3-haiku-20240307-v1:0"},
        NO_MODEL,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_has_its_error_and_the_model_if_it_is_known(url: str, case: str) -> None:
    body, more, expected = REFUSED[case]

    assert counted(url, lambda: invoke_(url, body.encode(), **more)) == [expected]


def test_a_model_is_known_by_all_its_names(url: str) -> None:
    arn = f"arn:aws:bedrock:us-east-1::foundation-model/{SEVEN_B}"
    seen = counted(url, lambda: invoke_(url, {"prompt": "Hi", "max_tokens": 1}, model=arn))

    assert seen == [labels("length")]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nowhere"), ("GET", f"/model/{SEVEN_B}/invoke")]
)
def test_an_unknown_operation_has_neither_name_nor_model(url: str, method: str, path: str) -> None:
    expected = labels("client_error", "200", "UnknownOperationException", operation="", model_id="")

    assert counted(url, lambda: call(url, method, path)) == [expected]


def test_the_control_plane_is_counted_by_its_operations(url: str) -> None:
    def ask() -> None:
        call(url, "GET", "/foundation-models")
        call(url, "GET", "/foundation-models/nope")
        call(url, "GET", "/guardrails")

    def refused(operation: str) -> dict[str, str]:
        return {**NO_MODEL, "operation": operation}

    assert counted(url, ask, calls=3) == ordered(
        labels("ok", operation="ListFoundationModels", model_id=""),
        refused("GetFoundationModel"),
        refused("ListGuardrails"),
    )
    assert Scrape(url).sum(
        "invoke_api_call_duration_seconds_count", operation="ListFoundationModels"
    )


def test_what_quotas_throttle_is_throttled(url: str) -> None:
    # Each call reserves 8,193 of 300,000 tokens a minute and returns few before it ends.
    rule(url, reply=" one two", pace={"first_token": 5})
    connections = []
    expected = labels("throttled", "429", "ThrottlingException")
    body = json.dumps({"prompt": "Hi", "max_tokens": 8_192})
    before = Scrape(url)
    try:
        for _ in range(38):
            connections.append(connect(url))
            connections[-1].request("POST", f"/model/{SEVEN_B}/invoke", body)
        until(lambda: bool(new_calls(before, Scrape(url))))
        assert new_calls(before, Scrape(url))[0] == expected
    finally:
        for connection in connections:
            connection.close()
    until(lambda: Scrape(url).sum("invoke_api_calls_under_way") == 0)


def test_an_error_inside_a_stream_is_told_from_its_status(url: str) -> None:
    rule(url, fault={"exception": "ModelTimeoutException", "after_tokens": 2})
    rule(url, fault={"exception": "ThrottlingException", "after_tokens": 2}, times=1)
    rule(url, fault={"exception": "InternalServerException", "after_tokens": 2}, times=1)
    before = Scrape(url)

    def ask() -> None:
        for _ in range(3):
            invoke_(url, {"prompt": "Hi"}, operation=PATHS[STREAM])

    assert counted(url, ask, calls=3) == ordered(
        labels("server_error", error="InternalServerException", operation=STREAM),
        labels("throttled", error="ThrottlingException", operation=STREAM),
        labels("client_error", error="ModelTimeoutException", operation=STREAM),
    )
    after = Scrape(url)
    for name, grown in (("input_tokens_total", 6), ("output_tokens_total", 6)):
        of = f"invoke_api_{name}"
        assert after.sum(of, operation=STREAM) - before.sum(of, operation=STREAM) == grown
    assert after.sum("invoke_api_call_duration_seconds_count", operation=STREAM) == before.sum(
        "invoke_api_call_duration_seconds_count", operation=STREAM
    )


def test_a_cut_answer_is_cut(url: str) -> None:
    rule(url, fault={"break": "cut", "after_tokens": 2})

    def ask() -> None:
        with pytest.raises(IncompleteRead):
            invoke_(url, {"prompt": "Hi"}, operation=PATHS[STREAM])

    assert counted(url, ask) == [labels("cut", operation=STREAM)]


@pytest.mark.parametrize("operation", [INVOKE, STREAM])
def test_who_leaves_is_cancelled(operation: str) -> None:
    with engine_running(StubEngine([" word"] * 10_000, pause=0.01)) as url:

        def leave() -> None:
            with closing(connect(url)) as connection:
                connection.request(
                    "POST", f"/model/{SEVEN_B}/{PATHS[operation]}", b'{"prompt":"Hi"}'
                )
                until(lambda: Scrape(url).sum("invoke_api_calls_under_way") == 1)
                until(lambda: Scrape(url).sum("invoke_api_engine_calls_running") == 1)
                time.sleep(0.2)  # for some tokens

        [seen] = counted(url, leave)
        scrape = Scrape(url)

    assert seen == labels("cancelled", "", operation=operation)
    assert scrape.sum("invoke_api_calls_under_way") == 0
    assert scrape.sum("invoke_api_engine_calls_running") == 0
    assert scrape.sum("invoke_api_input_tokens_total") == 2
    assert 0 < scrape.sum("invoke_api_output_tokens_total") < 10_000


def test_who_leaves_before_the_body_is_there_has_no_status(url: str) -> None:
    def leave() -> None:
        with closing(connect(url)) as connection:
            connection.putrequest("POST", f"/model/{SEVEN_B}/invoke")
            connection.putheader("Content-Length", "100")
            connection.endheaders(b"{")
            until(lambda: Scrape(url).sum("invoke_api_calls_under_way") == 1)

    assert counted(url, leave) == [labels("cancelled", "", model_id="")]


def test_over_http_2_they_are_counted_alike(url: str) -> None:
    def ask() -> None:
        with Client(url) as client:
            client.request(f"/model/{SEVEN_B}/invoke", b'{"prompt":"Hi","max_tokens":1}')
            client.read(until=StreamEnded)

    assert counted(url, ask) == [labels("length")]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (EngineTimeout(), labels("client_error", "408", "ModelTimeoutException")),
        (ZeroDivisionError(), labels("server_error", "500", "InternalServerException")),
    ],
)
def test_what_an_engine_fails_with_is_what_is_told(
    error: Exception, expected: dict[str, str]
) -> None:
    with engine_running(StubEngine(error=error)) as url:
        assert counted(url, lambda: invoke_(url, {"prompt": "Hi"})) == [expected]


def test_calls_without_a_key_are_counted_and_metrics_need_none(tmp_path: Path) -> None:
    keys = tmp_path / "keys.yaml"
    keys.write_text("access_keys: [{access_key_id: AKIDEXAMPLE, secret_access_key: secret}]")
    keys.chmod(0o600)
    flags = ["--engine", "scripted", "--auth", "any", "--credentials", str(keys)]
    with command_running([*COMMAND, *flags]) as url:
        seen = counted(url, lambda: invoke_(url, {"prompt": "Hi"}))

    assert seen == [labels("client_error", "403", "AccessDeniedException", model_id="")]


def test_no_label_comes_from_a_client(url: str) -> None:
    for number in range(50):
        invoke_(url, {"prompt": "Hi"}, model=f"nope-{number}")
        call(url, "GET", f"/nowhere-{number}")
        call(url, "POST", f"/foundation-models/nope-{number}/more")
        call(url, "GET", f"/async-invoke/nope-{number}")
    scrape = Scrape(url)

    assert scrape.labels(CALLS, "model_id") <= {"", SEVEN_B}
    assert scrape.labels(CALLS, "operation") <= {"", *(route.name for route in OPERATION_ROUTES)}
    assert scrape.labels(CALLS, "error") <= {"", *ERROR_STATUSES}
    assert "nope" not in scrape.text
    assert "nowhere" not in scrape.text


def test_recordings_bring_no_labels_of_their_own(tmp_path: Path) -> None:
    writer = CassetteWriter(tmp_path)
    error: dict[str, Any] = {"status": 418, "headers": (("x-amzn-ErrorType", "TeapotException"),)}
    writer.write(a_recording(path="/model/anthropic.claude/invoke", **error))
    writer.write(a_recording(method="GET", path="/teapots", body=b"", **error))
    flags = ["--engine", "replay", "--cassettes", str(tmp_path)]

    def ask(url: str) -> None:
        invoke_(url, {"prompt": "Hi"}, model="anthropic.claude")
        call(url, "GET", "/teapots")

    with command_running([*COMMAND, *flags]) as url:
        seen = counted(url, lambda: ask(url), calls=2)

    assert seen == ordered(
        labels("client_error", "418", "unknown", model_id=""),
        labels("client_error", "418", "unknown", model_id="", operation=""),
    )


def test_our_own_routes_are_not_counted(url: str) -> None:
    before = Scrape(url)
    for path in ("/_emulator/health", "/_emulator/ready", "/metrics"):
        call(url, "GET", path)

    assert new_calls(before, Scrape(url)) == []


def test_the_format_is_the_one_that_is_asked_for(url: str) -> None:
    plain, _ = call(url, "GET", "/metrics")
    accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2"
    open_metrics, body = call(url, "GET", "/metrics", Accept=accept)
    zipped, packed = call(url, "GET", "/metrics", None, **{"Accept-Encoding": "gzip"})

    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
    assert zipped.headers["content-encoding"] == "gzip"
    assert b"invoke_api_build_info" in gzip.decompress(packed)


@pytest.mark.parametrize("status", ["cold", "loading", "ready", "failed"])
def test_the_state_of_an_engine_is_told(status: str) -> None:
    with engine_running(StubEngine(state=EngineState(status))) as url:  # type: ignore[arg-type]  # one of them
        scrape = Scrape(url)

    states = {
        state: scrape.sum("invoke_api_engine_state", engine="stub-1", state=state)
        for state in ("cold", "loading", "ready", "asleep", "failed")
    }
    assert states == {**dict.fromkeys(states, 0), status: 1}


async def test_models_that_share_an_engine_are_told_once() -> None:
    one, other = StubEngine(), StubEngine()
    waiting = {"a": 2, "b": 3}
    metrics = Metrics([("a", one), ("b", one), ("c", other)], count_waiting=lambda: waiting)
    metrics._refresh()  # noqa: SLF001 - what `render` begins with
    text = metrics._exposition.render("")[0].decode()  # noqa: SLF001 - what it goes on with

    assert re.findall(r'model_info\{engine="(.*)",model_id="(.*)"\} 1', text) == [
        ("stub-1", "a"),
        ("stub-1", "b"),
        ("stub-2", "c"),
    ]
    assert re.findall(r'running\{engine="(.*)"\} (.*)', text) == [
        ("stub-1", "0.0"),
        ("stub-2", "0.0"),
    ]
    assert re.findall(r'waiting\{engine="(.*)"\} (.*)', text) == [
        ("stub-1", "5.0"),
        ("stub-2", "0.0"),
    ]


def in_engine(url: str, calls: str) -> float:
    """Return the number of calls that run or wait, by the metrics and by the engines' cards."""
    scraped = Scrape(url).sum(f"invoke_api_engine_calls_{calls}")
    response, raw = call(url, "GET", "/_emulator/engines")
    assert response.status == 200
    shown = sum(card[calls] for card in json.loads(raw)["engines"])
    return scraped if scraped == shown else nan


@pytest.mark.parametrize("operation", PATHS.values())
def test_calls_wait_until_their_first_token(operation: str) -> None:
    engine = StubEngine(["never", *[" on"] * 10_000], pause=3_600)
    with engine_running(engine) as url, closing(connect(url)) as one, closing(connect(url)) as two:
        for connection in (one, two):
            connection.request("POST", f"/model/{SEVEN_B}/{operation}", b'{"prompt": "Hi"}')
        until(lambda: in_engine(url, "waiting") == 2)
        assert in_engine(url, "running") == 2

        one.close()
        until(lambda: in_engine(url, "waiting") == 1)


def test_a_call_with_a_token_no_longer_waits() -> None:
    engine = StubEngine([" on"] * 10_000, pause=0.01)
    with engine_running(engine) as url, closing(connect(url)) as client:
        client.request("POST", f"/model/{SEVEN_B}/{PATHS[STREAM]}", b'{"prompt": "Hi"}')
        client.getresponse().read(20)

        assert (in_engine(url, "running"), in_engine(url, "waiting")) == (1, 0)


def test_a_call_that_a_rule_answers_waits_for_no_engine(url: str) -> None:
    rule(url, reply="Late", pace={"first_token": 30})
    with closing(connect(url)) as client:
        client.request("POST", f"/model/{SEVEN_B}/invoke", b'{"prompt": "Hi"}')
        until(lambda: Scrape(url).sum("invoke_api_calls_under_way") == 1)

        assert in_engine(url, "waiting") == 0


def test_calls_that_wait_for_a_load_are_counted() -> None:
    stub = SwappedStub()
    stub.may_load.clear()
    engine = LruPool(1).add(stub, "a", EngineLimits())
    with engine_running(engine) as url, closing(connect(url)) as client:
        client.request("POST", f"/model/{SEVEN_B}/invoke", b'{"prompt": "Hi"}')
        until(lambda: in_engine(url, "waiting") == 1)

        assert Scrape(url).sum("invoke_api_engine_state", state="loading") == 1


def test_a_folder_for_other_programs_is_left_alone(tmp_path: Path) -> None:
    # The variable names the shared folder of metrics, which may not exist yet.
    for folder in (tmp_path, tmp_path / "none"):
        env = {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
        with command_running([*COMMAND, "--engine", "scripted"], env) as url:
            wait_until_ready(url, seconds=30)
            invoke_(url, {"prompt": "Hi"})
            until(lambda url=url: Scrape(url).sum(CALLS) == 1)  # type: ignore[misc]  # mypy knows no type for it

    assert list(tmp_path.iterdir()) == []


async def test_what_vllm_registers_is_told_and_nothing_else_of_that_registry() -> None:
    counters = [Counter(name, "Of others.", registry=REGISTRY) for name in ("vllm:one", "other")]
    text, _ = await Metrics([]).render("")
    for counter in counters:
        REGISTRY.unregister(counter)

    assert b"\nvllm:one_total 0.0\n" in text
    assert b"other_total" not in text
    assert b"python_info" not in text


def test_the_process_is_told(url: str) -> None:
    scrape = Scrape(url)

    assert scrape.sum("process_cpu_seconds_total") > 0
    assert scrape.sum("process_resident_memory_bytes") > 1e7
    assert scrape.sum("invoke_api_build_info", version=__version__) == 1


def test_the_documentation_names_what_there_is(url: str) -> None:
    table = re.findall(r"^\| `(invoke_api_\w+|process_\w+)`", DOCUMENT, re.MULTILINE)
    told = {
        name + "_total" if family.type == "counter" else name
        for name, family in Scrape(url).families.items()
    }

    assert sorted(table) == sorted(told)


def test_the_documentation_shows_what_is_told(url: str) -> None:
    # The service exports every series of the example, perhaps with another value.
    [example] = re.findall(r"/metrics .*\n```\n\n```\n(.*?)```", DOCUMENT, re.DOTALL)
    invoke_(url, {"prompt": "Say this is a test", "max_tokens": 3})
    until(lambda: Scrape(url).sum(CALLS, outcome="length", model_id=SEVEN_B) > 0)
    told = Scrape(url)
    series = {line.rpartition(" ")[0] for line in told.text.splitlines()}

    assert example.splitlines()
    for line in example.splitlines():
        assert line.rpartition(" ")[0] in series


@pytest.mark.parametrize("version", ["1e400", "²", "", "1.x", "9" * 5_000])
def test_a_version_that_is_none_is_answered_in_the_plain_format(version: str) -> None:
    exposition = Exposition(None)
    for kind in ("text/plain", "application/openmetrics-text"):
        assert exposition.render(f"{kind};version={version};escaping=x")[0]
