"""The end of the service: calls that are still running then get an answer."""

import json
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPResponse

import h2.events
import pytest

from invoke_api import server
from tests.http2 import Client
from tests.metrics import Scrape
from tests.servers import SEVEN_B, connect, engine_running, invoke
from tests.stubs import StubEngine
from tests.test_leaving import running
from tests.waiting import until

STREAM = "invoke-with-response-stream"
WORDS = b"Bedrock is unable to process your request."


@pytest.fixture(autouse=True)
def short_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "DRAIN", 0.3)
    monkeypatch.setattr(server, "LAST_WORDS", 0.3)


def end_while_running(engine: StubEngine, operation: str) -> tuple[HTTPResponse, bytes]:
    """What a call over HTTP/1.1 gets that is running when the service ends."""
    with ThreadPoolExecutor() as pool:
        with engine_running(engine) as url:
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
        client = Client(service.enter_context(engine_running(engine)))
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
        url = service.enter_context(engine_running(StubEngine()))
        connection = connect(url)
        connection.putrequest("POST", f"/model/{SEVEN_B}/invoke")
        connection.putheader("Content-Length", "100")
        connection.endheaders(b'{"prompt": ')
        until(lambda: Scrape(url).sum("invoke_api_calls_under_way") == 1, seconds=5)
        began = time.monotonic()
        service.close()
        took = time.monotonic() - began
        connection.close()

    assert took < server.DRAIN + server.LAST_WORDS + 1
