"""The two operations over a raw socket, with details that an SDK hides."""

import json
from contextlib import closing
from typing import Any
from uuid import UUID

import pytest

from engine.errors import EngineBusy, EngineDead, EngineError, EngineTimeout
from engine.protocol import EngineState
from invoke_api.models.registry import DEFAULT_REGISTRY, load_registry
from invoke_api.pipeline.engine_errors import CONVERTERS
from tests.support.servers import SEVEN_B, call, connect, engine_running, invoke
from tests.support.streams import split_frames
from tests.support.stubs import StubEngine

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

    assert [name for name, _ in response.getheaders()] == [
        "Date",
        "Content-Type",
        "Transfer-Encoding",
        "Connection",
        "x-amzn-RequestId",
        "X-Amzn-Bedrock-Content-Type",
    ]
    assert headers["content-type"] == "application/vnd.amazon.eventstream"
    assert headers["transfer-encoding"] == "chunked"
    assert headers["connection"] == "keep-alive"
    assert headers["x-amzn-bedrock-content-type"] == "application/json"
    assert not [name for name in headers if "token-count" in name or "latency" in name]


def test_text_is_raw_utf8_and_the_prompt_may_be(scripted: str) -> None:
    _, body = invoke(scripted, '{"prompt": "Grüße aus Zürich 🦜"}'.encode())

    assert "Zürich and emoji 🦜".encode() in body


def test_a_body_over_the_limit_is_refused(scripted: str) -> None:
    response, body = invoke(scripted, b" " * 25_000_001)

    assert response.status == 400
    assert response.headers["x-amzn-ErrorType"].startswith("ValidationException:")
    assert json.loads(body)["message"] == (  # quoted by two clients' live tests
        "1 validation error detected: Value at 'body' failed to satisfy constraint:"
        " Member must have length less than or equal to 25000000"
    )


def test_a_long_prompt_is_answered_and_counted(scripted: str) -> None:
    response, _ = invoke(scripted, {"prompt": " word" * 20_000, "max_tokens": 1})

    assert response.status == 200
    assert response.headers["X-Amzn-Bedrock-Input-Token-Count"] == "20002"


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (EngineBusy(), 429, "ThrottlingException"),
        (EngineDead(), 503, "ServiceUnavailableException"),
        (EngineTimeout(), 408, "ModelTimeoutException"),
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
    assert set(CONVERTERS) == set(EngineError.__subclasses__())


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
    assert set(json.loads(body)["models"]) == set(load_registry(DEFAULT_REGISTRY).models)
