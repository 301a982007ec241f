"""The invocation log: the lines, the calls that are logged, and the configuration."""

import json
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from invoke_api.authentication.gate import Caller
from invoke_api.models.engine_pool import Engines
from invoke_api.models.registry import DEFAULT_REGISTRY, load_registry
from invoke_api.observability import invocation_log
from invoke_api.observability.invocation_log import FILE_NAME, InvocationLog, open_log
from invoke_api.observability.log_record import MAX_LOGGED_BODY_BYTES, LoggedCall, to_record
from invoke_api.pipeline.request_body import InFlightCalls
from invoke_api.server.app import create_app
from invoke_api.wire.events import encode_chunk
from invoke_api.wire.eventstream import encode_frame, tear
from invoke_api.yaml_files import ConfigError
from tests.support.servers import MINISTRAL_3B, SEVEN_B, app_running, call, connect, invoke
from tests.support.stubs import StubEngine

PATH = f"/model/{SEVEN_B}"
HEAD = [
    "schemaType",
    "schemaVersion",
    "timestamp",
    "accountId",
    "identity",
    "region",
    "requestId",
    "operation",
    "modelId",
]
ANSWER = {"outputs": [{"text": " Scripted answer", "stop_reason": "length"}]}
CALL = LoggedCall(
    moment=datetime(2024, 11, 25, 4, 34, 1, tzinfo=UTC),
    account="123456789012",
    arn="arn:aws:iam::123456789012:user/AKIDEXAMPLE",
    region="us-east-1",
    request_id="the-id",
    operation="InvokeModel",
    model_id=SEVEN_B,
    error=None,
    metadata=None,
    request=b'{"prompt":"Hi"}',
    response=b"{}",
    input_tokens=2,
    output_tokens=3,
    inference_region=None,
)


def signature(key: str, region: str = "us-east-1") -> str:
    return (
        f"AWS4-HMAC-SHA256 Credential={key}/20261124/{region}/bedrock/aws4_request,"
        " SignedHeaders=host, Signature=00"
    )


@pytest.fixture
def ask(extended: str, log_folder: Path) -> Callable[..., dict[str, Any]]:
    """Return a function that sends a request and returns the line about it."""

    def ask_(body: object, path: str = "invoke", **headers: str) -> dict[str, Any]:
        headers = {"Authorization": signature("AKIDEXAMPLE"), **headers}
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        response, _ = call(extended, "POST", f"{PATH}/{path}", raw, **headers)
        return line_of(log_folder, response.headers["x-amzn-RequestId"])

    return ask_


def whole_lines(folder: Path) -> list[str]:
    """Return the lines up to the last line feed, because the next one may be incomplete."""
    return (folder / FILE_NAME).read_text().rpartition("\n")[0].splitlines()


def line_of(folder: Path, request_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for line in whole_lines(folder):
            record: dict[str, Any] = json.loads(line)
            if record["requestId"] == request_id:
                return record
        time.sleep(0.01)
    raise AssertionError(f"no line about {request_id}")


def test_an_answer_is_logged_with_both_bodies(ask: Callable[..., dict[str, Any]]) -> None:
    record = ask({"prompt": "Hi", "max_tokens": 3})

    assert list(record) == [*HEAD, "input", "output"]
    assert record["schemaType"] == "ModelInvocationLog"
    assert datetime.fromisoformat(record["timestamp"])
    assert record["accountId"] == "123456789012"
    assert record["identity"] == {"arn": "arn:aws:iam::123456789012:user/key-7a898e50"}
    assert (record["operation"], record["modelId"]) == ("InvokeModel", SEVEN_B)
    assert json.dumps(record["input"]) == json.dumps(
        {
            "inputContentType": "application/json",
            "inputBodyJson": {"prompt": "Hi", "max_tokens": 3},
            "inputTokenCount": 2,
        }
    )
    assert json.dumps(record["output"]) == json.dumps(
        {
            "outputContentType": "application/json",
            "outputBodyJson": ANSWER,
            "outputTokenCount": 3,
        }
    )


def test_a_stream_is_logged_as_its_chunks(ask: Callable[..., dict[str, Any]]) -> None:
    record = ask({"prompt": "Hi", "max_tokens": 3}, "invoke-with-response-stream")
    chunks = record["output"]["outputBodyJson"]

    assert "".join(chunk["outputs"][0]["text"] for chunk in chunks) == " Scripted answer"
    assert "amazon-bedrock-invocationMetrics" in chunks[-1]
    assert record["output"]["outputTokenCount"] == len(chunks) == 3


def test_an_error_is_logged_by_its_name(ask: Callable[..., dict[str, Any]]) -> None:
    record = ask({"prompt": "Hi", "max_tokens": 0})

    assert list(record) == [*HEAD, "errorCode"]
    assert record["errorCode"] == "ValidationException"


def test_an_error_inside_a_stream_is_one(ask: Callable[..., dict[str, Any]]) -> None:
    record = ask({"prompt": " word" * 40_000}, "invoke-with-response-stream")

    assert list(record) == [*HEAD, "errorCode"]


def test_request_metadata_is_there_if_it_was_sent(ask: Callable[..., dict[str, Any]]) -> None:
    metadata = {"X-Amzn-Bedrock-Request-Metadata": '{"team": "a"}'}
    record = ask({"prompt": "Hi", "max_tokens": 1}, **metadata)

    assert record["requestMetadata"] == {"team": "a"}


def test_a_large_body_is_left_out(ask: Callable[..., dict[str, Any]]) -> None:
    record = ask({"prompt": " international" * 8_000, "max_tokens": 1})

    assert list(record["input"]) == ["inputContentType", "inputTokenCount"]
    assert record["output"]["outputBodyJson"]


def test_a_client_that_leaves_has_what_it_got_logged(extended: str, log_folder: Path) -> None:
    rule = b'{"reply": "one two three four", "pace": {"tokens_per_second": 1}}'
    call(extended, "POST", "/_emulator/rules?scope=AKIDLEAVING", rule)
    connection = connect(extended)
    with closing(connection):
        connection.request(
            "POST",
            f"{PATH}/invoke-with-response-stream",
            b'{"prompt": "Hi"}',
            {"Authorization": signature("AKIDLEAVING")},
        )
        response = connection.getresponse()
        response.read(8)
    record = line_of(log_folder, response.headers["x-amzn-RequestId"])

    assert record["output"]["outputBodyJson"][0] == {
        "outputs": [{"text": "one", "stop_reason": None}]
    }
    assert "outputTokenCount" not in record["output"]


def test_an_account_without_text_delivery_is_not_logged(extended: str, log_folder: Path) -> None:
    headers = {"Authorization": signature("AKIDEXAMPLE", "eu-west-3")}
    body = b'{"prompt": "Hi", "max_tokens": 1}'
    path = "/logging/modelinvocations"
    ids = []
    for method, config in (
        ("PUT", b'{"loggingConfig": {"textDataDeliveryEnabled": false}}'),
        ("DELETE", b""),
        ("PUT", b'{"loggingConfig": {"textDataDeliveryEnabled": true}}'),
    ):
        assert call(extended, method, path, config, **headers)[0].status == 200
        response, _ = call(extended, "POST", f"{PATH}/invoke", body, **headers)
        ids.append(response.headers["x-amzn-RequestId"])
    line_of(log_folder, ids[-1])  # lines stand in order

    assert not set(ids[:-1]) & set(read_ids(log_folder))


def test_chat_completions_of_bedrock_runtime_are_logged(extended: str, log_folder: Path) -> None:
    asked = {"model": MINISTRAL_3B, "messages": [{"role": "user", "content": "Hi"}]}
    ids = []
    for path, stream in (
        ("/v1/chat/completions", False),  # bedrock-mantle's
        ("/openai/v1/chat/completions", False),
        ("/openai/v1/chat/completions", True),
    ):
        body = json.dumps({**asked, "max_tokens": 2, "stream": stream}).encode()
        response, _ = call(extended, "POST", path, body)
        ids.append(response.headers["x-amzn-RequestId"])
    _, whole, streamed = ids

    record = line_of(log_folder, streamed)
    assert record["operation"] == "InvokeModelWithResponseStream"
    chunks = record["output"]["outputBodyJson"]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    record = line_of(log_folder, whole)
    assert (record["operation"], record["modelId"]) == ("InvokeModel", MINISTRAL_3B)
    assert record["output"]["outputBodyJson"]["object"] == "chat.completion"
    assert record["output"]["outputTokenCount"] == 2
    assert ids[0] not in read_ids(log_folder)


def read_ids(folder: Path) -> list[str]:
    return [json.loads(line)["requestId"] for line in whole_lines(folder)]


def test_other_operations_are_not_logged(extended: str, log_folder: Path) -> None:
    count = b'{"input": {"invokeModel": {"body": "eyJwcm9tcHQiOiAiSGkifQ=="}}}'
    counted, _ = call(extended, "POST", f"{PATH}/count-tokens", count)
    listed, _ = call(extended, "GET", "/foundation-models")
    unknown, _ = call(extended, "POST", "/nowhere", b"{}")
    last, _ = call(extended, "POST", f"{PATH}/invoke", b"{}")
    line_of(log_folder, last.headers["x-amzn-RequestId"])

    ids = {response.headers["x-amzn-RequestId"] for response in (counted, listed, unknown)}
    assert not ids & set(read_ids(log_folder))


def test_a_profiles_call_says_where_it_was_answered() -> None:
    record = to_record(replace(CALL, inference_region="us-east-1"))

    assert list(record) == [*HEAD, "input", "output", "inferenceRegion"]


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (b'{"a":', None),
        (b'"' + b"a" * MAX_LOGGED_BODY_BYTES + b'"', None),
        (None, None),
        (b"[1]", [1]),
    ],
)
def test_a_body_that_is_no_json_or_too_long_is_left_out(
    response: bytes | None, expected: object
) -> None:
    record = to_record(replace(CALL, response=response))

    assert record["output"].get("outputBodyJson") == expected


def test_events_of_converse_go_by_their_names() -> None:
    headers = {":event-type": "messageStop", ":content-type": "application/json"}
    stream = encode_frame(headers, b'{"p":"abc","stopReason":"end_turn"}')
    record = to_record(replace(CALL, operation="ConverseStream", response=stream))

    assert record["output"]["outputBodyJson"] == [{"messageStop": {"stopReason": "end_turn"}}]


def test_a_stream_that_is_torn_is_left_out() -> None:
    frame = encode_chunk(b"{}", 2)
    for response, chunks in ((frame + tear(frame), None), (frame + frame[:9], [{}]), (None, None)):
        call_ = replace(CALL, operation="InvokeModelWithResponseStream", response=response)

        assert to_record(call_)["output"].get("outputBodyJson") == chunks


def test_metadata_that_is_no_json_is_left_out() -> None:
    assert "requestMetadata" not in to_record(replace(CALL, metadata=b"{", error="X"))


def test_an_unknown_caller_is_the_root_of_the_example_account() -> None:
    assert Caller("us-gov-west-1").arn == "arn:aws-us-gov:iam::123456789012:root"
    assert Caller("us-east-1", account="000000000001").account_id == "000000000001"


async def test_a_bug_is_an_internal_server_exception(tmp_path: Path) -> None:
    engine = StubEngine(error=ZeroDivisionError())
    log = open_log(tmp_path)
    calls, registry = InFlightCalls(), load_registry(DEFAULT_REGISTRY).only([SEVEN_B])
    app = create_app(registry, Engines({SEVEN_B: engine}), calls, invocation_log=log)
    with app_running(app, calls) as url:
        answer, _ = invoke(url, {"prompt": "Hi"})

    assert answer.status == 500
    request_id = answer.headers["x-amzn-requestid"]
    assert line_of(tmp_path, request_id)["errorCode"] == "InternalServerException"


async def test_a_line_that_can_not_be_written_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = InvocationLog(tmp_path / "none" / FILE_NAME)
    log.add(CALL)
    await log.close()
    log.add(CALL)  # is not logged: the client has disconnected

    assert "the call the-id is missing in the invocation log" in caplog.text


async def test_no_more_lines_wait_than_there_is_room_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invocation_log, "MAX_WAITING_LINES", 2)
    goes_on = threading.Event()
    monkeypatch.setattr(invocation_log, "to_record", lambda _: {"waited": goes_on.wait(10)})
    log = InvocationLog(tmp_path / FILE_NAME)
    for name in ("one", "other", "lost"):
        log.add(replace(CALL, request_id=name))
    goes_on.set()
    await log.close()

    assert (tmp_path / FILE_NAME).read_text() == '{"waited":true}\n' * 2
    assert "the call lost is missing in the invocation log" in caplog.text


def test_a_folder_that_can_not_be_written_to_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"can't write to .*file/modelinvocations\.jsonl: "):
        open_log(tmp_path / "file")
