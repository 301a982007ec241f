"""The two operations over a raw socket: what an SDK would hide."""

import json
from contextlib import closing
from typing import Any
from uuid import UUID

import pytest

from engine.errors import EngineBusy, EngineDead, EngineError, EngineTimeout, PromptTooLong
from engine.protocol import EngineState
from invoke_api.operations.engine_errors import ANSWERS
from invoke_api.wire.eventstream import decode_frame
from tests.servers import LARGE, MIXTRAL, SEVEN_B, call, connect, engine_running, invoke
from tests.stubs import StubEngine

OPERATIONS = ["invoke", "invoke-with-response-stream"]
UNKNOWN = (
    b'{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}'
)


def test_an_answer_has_bedrocks_bytes_and_headers(scripted: str) -> None:
    response, body = invoke(scripted, {"prompt": "Say this is a test", "max_tokens": 4})

    assert response.status == 200
    assert [name for name, _ in response.getheaders()] == [
        "Date",
        "Content-Type",
        "Content-Length",
        "Connection",
        "x-amzn-RequestId",
        "X-Amzn-Bedrock-Invocation-Latency",
        "X-Amzn-Bedrock-Output-Token-Count",
        "X-Amzn-Bedrock-Input-Token-Count",
    ]
    assert response.headers["X-Amzn-Bedrock-Input-Token-Count"] == "6"
    assert response.headers["X-Amzn-Bedrock-Output-Token-Count"] == "4"
    assert UUID(response.headers["x-amzn-requestid"]).version == 4
    assert body == b'{"outputs":[{"text":" Scripted answer ","stop_reason":"length"}]}'


def test_a_stream_has_bedrocks_headers_and_no_counts(scripted: str) -> None:
    response, _ = invoke(scripted, {"prompt": "Hi"}, operation="invoke-with-response-stream")
    headers = {name.lower(): value for name, value in response.getheaders()}

    assert headers["content-type"] == "application/vnd.amazon.eventstream"
    assert headers["transfer-encoding"] == "chunked"
    assert headers["connection"] == "keep-alive"
    assert headers["x-amzn-bedrock-content-type"] == "application/json"
    assert not [name for name in headers if "token-count" in name or "latency" in name]


def test_text_is_raw_utf8_and_the_prompt_may_be(scripted: str) -> None:
    _, body = invoke(scripted, '{"prompt": "Grüße aus Zürich 🦜"}'.encode())

    assert "Zürich and emoji 🦜".encode() in body


def malformed(*violations: str) -> str:
    """Bedrock's sentence for a body that breaks its schema, or that is no JSON at all."""
    told = ": " + "".join(violations) if violations else ""
    return f"Malformed input request{told}, please reformat your input and try again."


BAD = [
    ("mistral.nope-v9:9", b"", "The provided model identifier is invalid."),
    (SEVEN_B, b"", malformed()),
    (SEVEN_B, b"{", malformed()),
    (SEVEN_B, b'{"prompt": "\xff"}', malformed()),
    (SEVEN_B, b'{"prompt": "\\ud800"}', malformed()),
    (SEVEN_B, b'{"prompt": NaN}', malformed()),
    (SEVEN_B, b"[" * 100_000, malformed()),
    (SEVEN_B, b"[]", malformed("#: expected type: JSONObject, found: JSONArray")),
    (
        SEVEN_B,
        b'{"inputText": "Hi"}',
        malformed(
            "#: required key [prompt] not found",
            "#: extraneous key [inputText] is not permitted",
        ),
    ),
    (
        MIXTRAL,
        b'{"prompt": "Hi", "max_tokens": 10000}',
        malformed("#/max_tokens: 10000 is not less or equal to 4096"),
    ),
    (
        LARGE,
        b'{"prompt": 1, "stop": "x", "temperature": null, "top_p": 1.5, "top_k": 0}',
        malformed(
            "#/prompt: expected type: String, found: Integer",
            "#/stop: expected type: JSONArray, found: String",
            "#/temperature: expected type: Number, found: Null",
            "#/top_p: 1.5 is not less or equal to 1",
            "#/top_k: 0 is not greater or equal to 1",
        ),
    ),
    (
        SEVEN_B,
        json.dumps({"prompt": "Hi", "stop": ["x"] * 11}).encode(),
        malformed("#/stop: expected maximum item count: 10, found: 11"),
    ),
    (
        SEVEN_B,
        b'{"prompt": "Hi", "max_tokens": 5.0, "top_k": 99999999999, "stop": [1]}',
        malformed(
            "#/max_tokens: expected type: Integer, found: BigDecimal",
            "#/stop/0: expected type: String, found: Integer",
            "#/top_k: 99999999999 is not less or equal to 200",
        ),
    ),
]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(("model", "body", "message"), BAD)
def test_bad_input_is_a_validation_exception(
    scripted: str, operation: str, model: str, body: bytes, message: str
) -> None:
    response, answer = invoke(scripted, body, model, operation)

    assert response.status == 400
    assert json.loads(answer) == {"message": message}
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["x-amzn-ErrorType"] == (
        "ValidationException:http://internal.amazon.com/coral/com.amazon.bedrock/"
    )


def test_a_body_over_the_limit_is_refused(scripted: str) -> None:
    response, _ = invoke(scripted, b" " * 25_000_001)

    assert response.status == 400
    assert response.headers["x-amzn-ErrorType"].startswith("ValidationException:")


def test_bounds_themselves_are_legal(scripted: str) -> None:
    for body in (
        {"max_tokens": 1, "temperature": 0, "top_p": 0, "top_k": 1, "stop": []},
        {"max_tokens": 8192, "temperature": 1, "top_p": 1, "top_k": 200, "stop": ["x"] * 10},
    ):
        assert invoke(scripted, {"prompt": "", **body})[0].status == 200


def test_a_long_prompt_is_answered_and_counted(scripted: str) -> None:
    response, _ = invoke(scripted, {"prompt": " word" * 20_000, "max_tokens": 1})

    assert response.status == 200
    assert response.headers["X-Amzn-Bedrock-Input-Token-Count"] == "20002"


def test_a_prompt_without_room_is_refused_in_bedrocks_words(scripted: str) -> None:
    response, body = invoke(scripted, {"prompt": " word" * 40_000, "max_tokens": 1})

    assert response.status == 400
    assert json.loads(body) == {
        "message": "This model's maximum context length is 32768 tokens."
        " Please reduce the length of the prompt"
    }


@pytest.mark.parametrize("colon", [":", "%3A", "%3a"])
def test_the_colon_of_a_model_id_may_be_encoded(scripted: str, colon: str) -> None:
    path = f"/model/{SEVEN_B.replace(':', colon)}/invoke"
    response, _ = call(scripted, "POST", path, b'{"prompt": "Hi"}')

    assert response.status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/"),
        ("POST", "/model"),
        ("GET", "/v1/models"),
        ("GET", f"/model/{SEVEN_B}/invoke"),
        ("POST", f"/model/{SEVEN_B}/invoke/"),
    ],
)
def test_what_bedrock_does_not_know_is_an_unknown_operation(
    scripted: str, method: str, path: str
) -> None:
    response, body = call(scripted, method, path)

    assert (response.status, body) == (200, UNKNOWN)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (EngineBusy(), 429, "ThrottlingException"),
        (EngineDead(), 503, "ServiceUnavailableException"),
        (EngineTimeout(), 408, "ModelTimeoutException"),
        (PromptTooLong(1), 400, "ValidationException"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_engine_error_before_the_first_byte_is_an_http_error(
    operation: str, error: EngineError, status: int, kind: str
) -> None:
    with engine_running(StubEngine(error=error)) as url:
        response, _ = invoke(url, {"prompt": "Hi"}, operation=operation)

    assert response.status == status
    assert response.headers["x-amzn-ErrorType"].startswith(f"{kind}:")


def test_an_engine_error_after_the_first_byte_is_the_last_frame() -> None:
    with engine_running(StubEngine([" a"], error=EngineTimeout())) as url:
        response, body = invoke(url, {"prompt": "Hi"}, operation="invoke-with-response-stream")
    first, last = split_frames(body)

    assert response.status == 200
    assert first.headers[":event-type"] == "chunk"
    assert last.headers[":exception-type"] == "modelTimeoutException"


def test_a_bug_in_an_engine_is_an_internal_server_exception_anywhere() -> None:
    with engine_running(StubEngine(error=ZeroDivisionError())) as url:
        response, _ = invoke(url, {"prompt": "Hi"})
    with engine_running(StubEngine([" a"], error=ZeroDivisionError())) as url:
        _, body = invoke(url, {"prompt": "Hi"}, operation="invoke-with-response-stream")

    assert response.status == 500
    assert response.headers["x-amzn-ErrorType"].startswith("InternalServerException:")
    assert split_frames(body)[-1].headers[":exception-type"] == "internalServerException"


def test_an_engine_that_stops_without_a_word_is_not_an_answer() -> None:
    with engine_running(StubEngine([" a"], finish=False)) as url:
        response, _ = invoke(url, {"prompt": "Hi"})
        _, body = invoke(url, {"prompt": "Hi"}, operation="invoke-with-response-stream")

    assert response.status == 500
    assert split_frames(body)[-1].headers[":exception-type"] == "internalServerException"


@pytest.mark.parametrize("path", ["/model/mistral.nope-v9:9/invoke", "/nowhere"])
def test_an_early_answer_does_not_cut_off_who_is_still_sending(scripted: str, path: str) -> None:
    connection = connect(scripted)
    with closing(connection):
        for _ in range(3):
            connection.request("POST", path, b" " * 5_000_000)
            response = connection.getresponse()
            response.read()

            assert response.status in (200, 400)


def test_one_connection_may_ask_for_ever(scripted: str) -> None:
    connection = connect(scripted)
    with closing(connection):
        for _ in range(1_100):
            connection.request("GET", "/_emulator/health")

            assert connection.getresponse().read()


def test_every_engine_error_has_an_answer() -> None:
    assert set(ANSWERS) == set(EngineError.__subclasses__())


@pytest.mark.parametrize(
    ("state", "status", "kind"),
    [
        (EngineState("loading"), 429, "ModelNotReadyException"),
        (EngineState("failed", "no such folder"), 503, "ServiceUnavailableException"),
    ],
)
def test_an_engine_that_is_not_ready_says_so_everywhere(
    state: EngineState, status: int, kind: str
) -> None:
    with engine_running(StubEngine(state=state)) as url:
        response, _ = invoke(url, {"prompt": "Hi"})
        health, report = call(url, "GET", "/_emulator/health")
        ready, _ = call(url, "GET", "/_emulator/ready")

    assert response.status == status
    assert response.headers["x-amzn-ErrorType"].startswith(f"{kind}:")
    assert (health.status, ready.status) == (200, 503)
    expected: dict[str, Any] = {"status": state.status, "running": 0}
    if state.reason:
        expected["reason"] = state.reason
    assert json.loads(report) == {"models": {SEVEN_B: expected}}


def test_a_ready_service_says_so(scripted: str) -> None:
    response, body = call(scripted, "GET", "/_emulator/ready")

    assert response.status == 200
    assert len(json.loads(body)["models"]) == 4


def split_frames(body: bytes) -> list[Any]:
    frames = []
    while body:
        size = int.from_bytes(body[:4])
        frames.append(decode_frame(body[:size]))
        body = body[size:]
    return frames
