"""The shutdown of the service: in-flight calls get an answer."""

import json
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPResponse

import h2.events
import pytest

from invoke_api.server import http_server
from tests.pipeline.test_leaving import running
from tests.support.http2 import Client
from tests.support.metrics import Scrape
from tests.support.servers import (
    COMMAND,
    SEVEN_B,
    call,
    command_running,
    connect,
    engine_running,
    invoke,
    wait_until_ready,
)
from tests.support.stubs import StubEngine
from tests.support.waiting import until

STREAM = "invoke-with-response-stream"
GRACE = http_server.Grace(calls=0.3)
WORDS = b"Bedrock is unable to process your request."


@pytest.fixture(autouse=True)
def short_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "ABORT_SECONDS", 0.3)


def end_while_running(engine: StubEngine, operation: str) -> tuple[HTTPResponse, bytes]:
    """Return the answer to an HTTP/1.1 call that is in flight when the service stops."""
    with ThreadPoolExecutor() as pool:
        with engine_running(engine, grace=GRACE) as url:
            answer: Future[tuple[HTTPResponse, bytes]] = pool.submit(
                invoke, url, {"prompt": "Hi"}, SEVEN_B, operation
            )
            until(lambda: running(url) == 1, seconds=5)
        return answer.result(timeout=10)


@pytest.mark.parametrize("operation", ["invoke", STREAM])
def test_a_call_without_a_byte_gets_a_modelled_error(operation: str) -> None:
    response, body = end_while_running(StubEngine([" never"], pause=3_600), operation)

    assert response.status == 503
    assert response.headers["x-amzn-ErrorType"].startswith("ServiceUnavailableException:")
    assert WORDS in body


def test_a_stream_ends_with_an_exception_frame() -> None:
    response, body = end_while_running(StubEngine([" on"] * 10_000, pause=0.01), STREAM)

    assert response.status == 200
    assert b"serviceUnavailableException" in body
    assert WORDS in body[-100:]


def test_a_stream_over_http_2_does_too() -> None:
    engine = StubEngine([" on"] * 10_000, pause=0.01)
    with ExitStack() as service, ThreadPoolExecutor() as pool:
        client = Client(service.enter_context(engine_running(engine, grace=GRACE)))
        client.request(f"/model/{SEVEN_B}/{STREAM}", json.dumps({"prompt": "Hi"}).encode())
        client.read(until=h2.events.ResponseReceived)
        rest = pool.submit(client.read, until=h2.events.StreamEnded)
        service.close()
        with client:
            events = rest.result(timeout=10)
    data = b"".join(event.data for event in events if isinstance(event, h2.events.DataReceived))

    assert b"serviceUnavailableException" in data


def test_a_call_that_ends_in_time_is_served_to_the_end() -> None:
    response, body = end_while_running(StubEngine([" slow"], pause=0.2), "invoke")

    assert response.status == 200
    assert b" slow" in body


def test_a_body_that_does_not_come_holds_up_nothing() -> None:
    with ExitStack() as service:
        url = service.enter_context(engine_running(StubEngine(), grace=GRACE))
        connection = connect(url)
        connection.putrequest("POST", f"/model/{SEVEN_B}/invoke")
        connection.putheader("Content-Length", "100")
        connection.endheaders(b'{"prompt": ')
        until(lambda: Scrape(url).sum("invoke_api_calls_under_way") == 1, seconds=5)
        began = time.monotonic()
        service.close()
        took = time.monotonic() - began
        connection.close()

    assert took < GRACE.calls + http_server.ABORT_SECONDS + 1


def test_for_a_while_all_is_answered_and_balancers_are_told() -> None:
    with ExitStack() as service, ThreadPoolExecutor() as pool:
        grace = http_server.Grace(delay=2, calls=0)
        url = service.enter_context(engine_running(StubEngine([" so"]), grace=grace))
        before, _ = call(url, "GET", "/_emulator/ready")
        ended = pool.submit(service.close)
        until(lambda: call(url, "GET", "/_emulator/ready")[0].status == 503, seconds=1)
        _, said = call(url, "GET", "/_emulator/ready")
        health, _ = call(url, "GET", "/_emulator/health")
        answer, body = invoke(url, {"prompt": "Hi"})
        ended.result(timeout=10)

    assert [before.status, health.status, answer.status] == [200, 200, 200]
    assert json.loads(said)["reason"] == "the service is stopping"
    assert b" so" in body
    with pytest.raises(ConnectionRefusedError):
        call(url, "GET", "/_emulator/ready")


def test_how_long_it_takes_can_be_said() -> None:
    # The flags set the times; a second signal would end the service at once.
    flags = ["--shutdown-delay", "0.5", "--graceful-timeout", "0"]
    with ExitStack() as service:
        url = service.enter_context(command_running([*COMMAND, "--engine", "scripted", *flags]))
        wait_until_ready(url, seconds=30)
        began = time.monotonic()
        service.close()

    assert 0.5 < time.monotonic() - began < 5
