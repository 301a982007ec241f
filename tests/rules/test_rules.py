"""Rules over HTTP, with real clients: replies, faults, pace, scopes and the journal."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import IncompleteRead
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.eventstream import ChecksumMismatch
from botocore.exceptions import EventStreamError, ReadTimeoutError

from engine.protocol import EngineState
from tests.sdk.javascript import call_js_in_turn
from tests.support.scheduling import on_engine
from tests.support.servers import (
    COMMAND,
    MIXTRAL,
    SEVEN_B,
    call,
    command_running,
    engine_running,
    invoke,
    wait_until_ready,
)
from tests.support.streams import split_frames
from tests.support.stubs import StubEngine

STREAM = "invoke-with-response-stream"
BODY = json.dumps({"prompt": "Why?", "max_tokens": 50})


@pytest.fixture(scope="module")
def shared() -> Iterator[str]:
    """Yield the URL of a separate service, without other tests' rules."""
    with command_running([*COMMAND, "--engine", "scripted"]) as url:
        wait_until_ready(url, seconds=30)
        yield url


@pytest.fixture
def url(shared: str) -> Iterator[str]:
    yield shared
    control(shared, "POST", "/reset")


def control(url: str, method: str, path: str, document: object = None) -> Any:
    body = None if document is None else json.dumps(document).encode()
    response, raw = call(url, method, f"/_emulator{path}", body)
    assert response.status < 300, raw
    return json.loads(raw)


def rule(url: str, **document: Any) -> None:
    control(url, "POST", "/rules", document)


def requests(url: str, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = control(url, "GET", f"/requests{query}")["requests"]
    return found


@contextmanager
def client(
    url: str, key: str = "AKIDEXAMPLE", region: str = "us-east-1", **config: Any
) -> Iterator[Any]:
    runtime = boto3.client(
        "bedrock-runtime",
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key="secret",
        config=Config(**{"retries": {"total_max_attempts": 1}, **config}),
    )
    with closing(runtime):
        yield runtime


def say(runtime: Any, model: str = SEVEN_B, **body: Any) -> str:
    asked = {"prompt": "Why?", "max_tokens": 50, **body}
    answer = runtime.invoke_model(modelId=model, body=json.dumps(asked))
    text: str = json.loads(answer["body"].read())["outputs"][0]["text"]
    return text


def chunks(url: str, **body: Any) -> list[dict[str, Any]]:
    with client(url) as runtime:
        asked = {"prompt": "Why?", "max_tokens": 50, **body}
        stream = runtime.invoke_model_with_response_stream(modelId=SEVEN_B, body=json.dumps(asked))
        return [json.loads(event["chunk"]["bytes"]) for event in stream["body"]]


def test_a_reply_is_cut_into_the_models_tokens(url: str) -> None:
    rule(url, reply=" It rains in Zürich 🦜.")
    whole, raw = invoke(url, {"prompt": "Why?"})
    stream = chunks(url)
    outputs = [chunk["outputs"][0] for chunk in stream]
    metrics = stream[-1]["amazon-bedrock-invocationMetrics"]

    assert json.loads(raw)["outputs"][0]["text"] == " It rains in Zürich 🦜."
    assert "".join(output["text"] for output in outputs) == " It rains in Zürich 🦜."
    assert whole.headers["X-Amzn-Bedrock-Output-Token-Count"] == str(len(outputs))
    assert metrics["outputTokenCount"] == len(outputs)
    assert metrics["inputTokenCount"] == 3


def test_max_tokens_and_stop_hold_for_a_reply_too(url: str) -> None:
    rule(url, reply=" one two three four")
    with client(url) as runtime:
        assert say(runtime, max_tokens=2) == " one two"
        assert say(runtime, stop=["thr"]) == " one two "


@pytest.mark.parametrize("engine", ["url", pytest.param("demo", marks=on_engine("demo"))])
def test_rules_stand_in_front_of_every_engine(request: pytest.FixtureRequest, engine: str) -> None:
    url = request.getfixturevalue(engine)
    rule(url, reply=" By rule.", when={"prompt": "the rule"}, scope="AKIDRULES")
    fault = {"exception": "ThrottlingException", "after_tokens": 2}
    rule(url, fault=fault, when={"prompt": "a fault"}, scope="AKIDRULES")
    with client(url, "AKIDRULES") as runtime:
        by_rule = say(runtime, prompt="the rule")
        by_engine = say(runtime, prompt="something else")
        stream = runtime.invoke_model_with_response_stream(
            modelId=SEVEN_B, body=json.dumps({"prompt": "a fault", "max_tokens": 5})
        )
        with closing(stream["body"]) as body, pytest.raises(EventStreamError) as caught:
            list(body)
    [ruled, other, failed] = requests(url, "?scope=AKIDRULES")
    control(url, "POST", "/reset?scope=AKIDRULES")

    assert by_rule == " By rule."
    assert by_engine not in ("", by_rule)
    assert caught.value.response["Error"]["Code"] == "throttlingException"
    assert (ruled["engine"], ruled["ended"]) == ("rule", "stop")
    assert other["engine"] == failed["engine"] == ("scripted" if engine == "url" else "vllm")
    assert failed["error"]["type"] == "ThrottlingException"
    assert failed["status"] == 200


@pytest.mark.parametrize("mode", ["standard", "legacy"])
def test_retries_recover_from_two_throttles(url: str, mode: str) -> None:
    rule(url, reply=" At last.")
    rule(url, fault={"exception": "ThrottlingException", "retry_after": 10}, times=2)
    with client(url, retries={"mode": mode, "total_max_attempts": 4}) as runtime:
        assert say(runtime) == " At last."

    assert [entry["status"] for entry in requests(url)] == [429, 429, 200]


def test_a_fault_before_the_first_byte_is_an_http_error_on_both(url: str) -> None:
    fault = {"exception": "ModelErrorException", "members": {"originalStatusCode": 400}}
    rule(url, fault={**fault, "retry_after": 1500})
    for operation in ("invoke", STREAM):
        response, raw = invoke(url, {"prompt": "Hi"}, operation=operation)

        assert response.status == 424
        assert response.headers["x-amz-retry-after"] == "1500"
        assert json.loads(raw)["originalStatusCode"] == 400


@pytest.mark.parametrize("after", [0, 3])
def test_a_fault_after_tokens_is_in_the_stream(url: str, after: int) -> None:
    rule(url, fault={"exception": "ServiceUnavailableException", "after_tokens": after})
    whole, _ = invoke(url, {"prompt": "Hi"})
    response, raw = invoke(url, {"prompt": "Hi"}, operation=STREAM)
    *before, last = split_frames(raw)

    assert whole.status == 503
    assert response.status == 200
    assert [frame.headers[":event-type"] for frame in before] == ["chunk"] * after
    assert last.headers[":exception-type"] == "serviceUnavailableException"


def test_the_js_sdk_reads_a_fault_in_a_stream_as_its_typed_exception(url: str) -> None:
    rule(url, fault={"exception": "ThrottlingException", "after_tokens": 2})
    what = {"endpoint": url, "operation": "stream", "modelId": SEVEN_B, "body": {"prompt": "Hi"}}
    for [answer] in call_js_in_turn([{**what, "handler": each} for each in ("default", "node")]):
        assert answer["error"] == "ThrottlingException"
        assert answer["message"].startswith("Too many requests")


def test_a_cut_connection_is_cut(url: str) -> None:
    rule(url, fault={"break": "cut", "after_tokens": 2})
    for operation in ("invoke", STREAM):
        with pytest.raises(IncompleteRead):
            invoke(url, {"prompt": "Hi"}, operation=operation)
    ways = [
        {"handler": handler, "operation": operation}
        for operation in ("invoke", "stream")
        for handler in ("default", "node")
    ]
    what = {"endpoint": url, "modelId": SEVEN_B, "body": {"prompt": "Hi"}}
    for [answer] in call_js_in_turn([{**what, **way} for way in ways]):
        assert "error" in answer
    assert {entry["ended"] for entry in requests(url)} == {"cut"}


def test_a_torn_frame_has_a_wrong_checksum(url: str) -> None:
    rule(url, fault={"break": "torn_frame", "after_tokens": 1})
    with client(url) as runtime:
        stream = runtime.invoke_model_with_response_stream(modelId=SEVEN_B, body=BODY)
        with closing(stream["body"]) as body, pytest.raises(ChecksumMismatch):
            list(body)


def test_a_hang_lasts_until_the_client_gives_up(url: str) -> None:
    rule(url, fault={"break": "hang"})
    with client(url, read_timeout=0.3) as runtime, pytest.raises(ReadTimeoutError):
        say(runtime)
    deadline = time.monotonic() + 5
    while not (found := requests(url))[0]["ended"] and time.monotonic() < deadline:
        time.sleep(0.02)

    assert found[0]["ended"] == "cancelled"
    assert found[0]["status"] is None


def test_a_pace_is_kept(url: str) -> None:
    rule(url, reply=" one two three four", pace={"first_token": 0.2, "tokens_per_second": 20})
    began = time.monotonic()
    stream = chunks(url)
    took = time.monotonic() - began

    assert took >= 0.2 + (len(stream) - 1) / 20
    assert stream[-1]["amazon-bedrock-invocationMetrics"]["firstByteLatency"] >= 200


def test_faults_reach_an_engine_that_is_not_ready() -> None:
    with engine_running(StubEngine(state=EngineState("loading"))) as url:
        rule(url, state="access-denied")
        response, _ = invoke(url, {"prompt": "Hi"})

    assert response.status == 403


def test_strict_refuses_what_no_rule_answers(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text('rules:\n  - {when: {prompt: known}, reply: " Yes."}\n')
    command = [*COMMAND, "--engine", "scripted", "--strict", "--rules", str(file)]
    with command_running(command) as url:
        wait_until_ready(url, seconds=30)
        known, body = invoke(url, {"prompt": "known"})
        unknown, refusal = invoke(url, {"prompt": "other"})

    assert known.status == 200
    assert b" Yes." in body
    assert unknown.status == 400
    assert b"No rule matches" in refusal


def test_a_file_of_rules_is_followed(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("rules: [{reply: ' one'}]\n")
    with command_running([*COMMAND, "--engine", "scripted", "--rules", str(file)]) as url:
        wait_until_ready(url, seconds=30)
        for text in ("rules: [{reply: ' two'}]\n", "rules: [{reply: 7}]\n"):
            file.write_text(text)
            time.sleep(1.2)
            _, body = invoke(url, {"prompt": "Hi"})

            assert b" two" in body  # also after the mistake
        assert len(control(url, "GET", "/rules")["rules"]) == 1


def test_callers_at_once_see_their_own_rules_and_requests_only(url: str) -> None:
    def one(number: int) -> None:
        key = f"AKIDPARALLEL{number}"
        rule(url, reply=f" I am {number}.", scope=key)
        with client(url, key) as runtime:
            for _ in range(5):
                assert say(runtime, MIXTRAL) == f" I am {number}."
        seen = requests(url, f"?scope={key}")
        assert [entry["text"] for entry in seen] == [f" I am {number}."] * 5

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(16)))


def test_the_journal_shows_all_but_secrets(url: str) -> None:
    with client(url) as runtime:
        say(runtime, max_tokens=3)
    invoke(url, {"prompt": "Hi", "top_k": 0})
    call(url, "POST", f"/model/{SEVEN_B}/invoke", b"{}", Authorization="Bearer hidden")
    good, bad, bearer = requests(url)

    assert good["access_key_id"] == "AKIDEXAMPLE"
    assert (good["operation"], good["model_id"]) == ("InvokeModel", SEVEN_B)
    assert good["region"] == "us-east-1"
    assert good["body"]["max_tokens"] == good["output_tokens"] == 3
    assert (good["ended"], good["status"], good["input_tokens"]) == ("length", 200, 3)
    assert good["latency_ms"] >= good["first_byte_latency_ms"] >= 0
    assert good["headers"]["authorization"].endswith("Signature=[redacted]")
    assert (bad["ended"], bad["status"]) == ("error", 400)
    assert bad["error"]["type"] == "ValidationException"
    assert "top_k" in bad["error"]["message"]
    assert bearer["headers"]["authorization"] == "Bearer [redacted]"
    assert requests(url, "?ended=error&operation=InvokeModel") == [bad, bearer]


def test_the_journal_keeps_the_beginning_of_a_long_body(url: str) -> None:
    invoke(url, b'{"prompt": "' + b"x" * 1_000_000 + b'"}')

    assert len(requests(url)[0]["body"]) == 65_536


@pytest.mark.slow
def test_the_journal_is_bounded_and_forgets(url: str) -> None:
    for _ in range(1_010):
        invoke(url, b"{")

    assert len(requests(url)) == 1_000
    control(url, "DELETE", "/requests")
    assert requests(url) == []


@pytest.mark.parametrize(
    ("method", "path", "body", "sentence"),
    [
        ("POST", "/_emulator/rules", b"{", "not JSON: "),
        ("POST", "/_emulator/rules", b'{"reply": 7}', "rule 1, reply: 7 must be a text"),
        (
            "GET",
            "/_emulator/requests?color=red",
            None,
            "there is no filter 'color'; the filters are scope",
        ),
    ],
)
def test_a_mistake_is_answered_with_a_sentence(
    url: str, method: str, path: str, body: bytes | None, sentence: str
) -> None:
    response, raw = call(url, method, path, body)

    assert response.status == 400
    assert json.loads(raw)["error"].startswith(sentence)


def test_strangers_have_no_control() -> None:
    env = {"INVOKE_API_API_KEY": "ABSKQUFBQUFBQUFBQUFBQUFBQQ=="}
    command = [*COMMAND, "--engine", "scripted", "--auth", "bearer"]
    with command_running(command, env) as url:
        _, closed = call(url, "GET", "/_emulator/rules")
    with command_running([*command, "--control"], env) as url:
        opened, _ = call(url, "GET", "/_emulator/rules")

    assert b"without --control there are /_emulator/health" in closed
    assert opened.status == 403
