"""Clients that send GOAWAY early still get all of the answer, and then the connection closes."""

import json
import socket
from typing import Any, Self
from urllib.parse import urlsplit

import h2.connection
import h2.events
import pytest
from h2.errors import ErrorCodes

from tests.sdk.javascript import call_js
from tests.servers import SEVEN_B, engine_running
from tests.stubs import StubEngine

TIMES = 100
BODY = {"prompt": "Go on."}


def test_a_stream_of_200_slow_tokens_is_whole_100_times() -> None:
    texts = [f" {number}" for number in range(200)]
    with engine_running(StubEngine(texts, pause=0.005)) as url:
        answers = call_js(
            endpoint=url,
            handler="default",
            operation="stream",
            modelId=SEVEN_B,
            body=BODY,
            times=TIMES,
            atOnce=20,
        )

    assert len(answers) == TIMES
    for answer in answers:
        assert [chunk["outputs"][0]["text"] for chunk in answer["chunks"]] == [*texts, ""]


def test_a_reply_of_200_kb_is_whole_100_times() -> None:
    text = "0123456789" * 20_000
    with engine_running(StubEngine([text])) as url:
        answers = call_js(
            endpoint=url,
            handler="default",
            operation="invoke",
            modelId=SEVEN_B,
            body=BODY,
            times=TIMES,
            atOnce=10,
        )

    assert len(answers) == TIMES
    assert all(answer["body"]["outputs"][0]["text"] == text for answer in answers)


class Client:
    """An HTTP/2 client that says GOAWAY when it is told to."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname, address.port), timeout=10)
        self._authority = address.netloc
        self._h2 = h2.connection.H2Connection()
        self._h2.initiate_connection()
        self.closed_by_server = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def request(self) -> None:
        body = json.dumps(BODY).encode()
        path = f"/model/{SEVEN_B}/invoke-with-response-stream"
        self._h2.send_headers(
            1,
            [
                (":method", "POST"),
                (":path", path),
                (":scheme", "http"),
                (":authority", self._authority),
            ],
        )
        self._h2.send_data(1, body, end_stream=True)
        self._flush()

    def say_goodbye(self, code: ErrorCodes) -> None:
        # Written by hand: h2 itself would refuse to read on after saying goodbye.
        self._flush()
        frame = (8).to_bytes(3) + b"\x07\x00" + bytes(4) + bytes(4) + int(code).to_bytes(4)
        self._socket.sendall(frame)

    def read(self, *, until: type[h2.events.Event] | None = None) -> list[Any]:
        """All events up to one of this kind, or up to the end of the connection."""
        events: list[Any] = []
        while not any(until and isinstance(event, until) for event in events):
            data = self._socket.recv(65_536)
            if not data:
                self.closed_by_server = True
                break
            events += self._h2.receive_data(data)
            self._flush()
        return events

    def _flush(self) -> None:
        self._socket.sendall(self._h2.data_to_send())


def test_after_a_friendly_goodbye_the_stream_ends_and_then_the_connection() -> None:
    engine = StubEngine([" a", " b", " c"], pause=0.1)
    with engine_running(engine) as url, Client(url) as client:
        client.request()
        client.read(until=h2.events.ResponseReceived)
        client.say_goodbye(ErrorCodes.NO_ERROR)
        events = client.read()

    assert any(isinstance(event, h2.events.StreamEnded) for event in events)
    assert client.closed_by_server


@pytest.mark.parametrize("code", [ErrorCodes.NO_ERROR, ErrorCodes.PROTOCOL_ERROR])
def test_a_goodbye_with_nothing_open_closes_the_connection(code: ErrorCodes) -> None:
    with engine_running(StubEngine()) as url, Client(url) as client:
        client.say_goodbye(code)
        client.read()

    assert client.closed_by_server


def test_a_goodbye_with_an_error_ends_everything() -> None:
    engine = StubEngine([" a"] * 1_000, pause=0.01)
    with engine_running(engine) as url, Client(url) as client:
        client.request()
        client.read(until=h2.events.ResponseReceived)
        client.say_goodbye(ErrorCodes.PROTOCOL_ERROR)
        events = client.read()

    assert not any(isinstance(event, h2.events.StreamEnded) for event in events)
    assert client.closed_by_server
