"""Slow clients get their whole answer; clients that read nothing are disconnected."""

import json
import socket
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import h2.connection
import h2.events
import psutil
import pytest

from invoke_api.transport import slow_readers
from invoke_api.transport.limits import Limits
from tests.support.http2 import Client
from tests.support.servers import SEVEN_B, call, engine_running, sockets_of
from tests.support.streams import split_frames
from tests.support.stubs import StubEngine
from tests.support.waiting import until

LONG = "0123456789" * 800_000  # more than the kernel buffers
BODY = json.dumps({"prompt": "Hi", "max_tokens": 8_192}).encode()
PATH = f"/model/{SEVEN_B}/invoke"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_readers, "STALL_SECONDS", 0.4)


@contextmanager
def asking(url: str, *headers: str) -> Iterator[socket.socket]:
    address = urlsplit(url)
    head = [f"POST {PATH} HTTP/1.1", "Host: x", f"Content-Length: {len(BODY)}", *headers]
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        connection.connect((address.hostname, address.port))
        connection.sendall("\r\n".join([*head, "", ""]).encode() + BODY)
        yield connection


def test_who_reads_slowly_over_http_1_gets_all() -> None:
    with engine_running(StubEngine([LONG])) as url, asking(url, "Connection: close") as connection:
        read, began = bytearray(), time.monotonic()
        while piece := connection.recv(200_000):
            read += piece
            time.sleep(0.01)  # a slow client
        took = time.monotonic() - began

    assert took > 2 * slow_readers.STALL_SECONDS
    answer = json.loads(read.partition(b"\r\n\r\n")[2])
    assert answer["outputs"][0]["text"] == LONG


def test_who_reads_slowly_over_http_2_gets_all() -> None:
    texts = [LONG[:2_000_000]]
    with engine_running(StubEngine(texts)) as url, SlowClient(url) as client:
        client.request(f"{PATH}-with-response-stream", BODY)
        began = time.monotonic()
        read, events = client.read_slowly()
        took = time.monotonic() - began

    assert took > 2 * slow_readers.STALL_SECONDS
    assert isinstance(events[-1], h2.events.StreamEnded)
    chunks = [json.loads(frame.payload) for frame in split_frames(read)]
    documents = [json.loads(b64decode(chunk["bytes"])) for chunk in chunks]
    assert "".join(each["outputs"][0]["text"] for each in documents) == texts[0]


class SlowClient(Client):
    """A client that opens its window by one frame after each frame that it has read."""

    def read_slowly(self) -> tuple[bytes, list[h2.events.Event]]:
        read, events = bytearray(), list[h2.events.Event]()
        while not any(isinstance(event, h2.events.StreamEnded) for event in events):
            new = self.read(until=h2.events.Event)
            for event in new:
                assert not isinstance(event, h2.events.StreamReset), f"after {len(read)} bytes"
                if isinstance(event, h2.events.DataReceived):
                    read += event.data
                    time.sleep(0.02)  # a slow client
                    self.give_room(event.flow_controlled_length)
            events += new
        return bytes(read), events


@pytest.mark.parametrize("headers", [[], ["Connection: close"]], ids=["kept", "closed"])
def test_who_takes_nothing_of_a_whole_answer_is_hung_up_on(headers: list[str]) -> None:
    limits = Limits(idle=0.3)
    with engine_running(StubEngine([LONG]), limits=limits) as url, asking(url, *headers):
        until(lambda: not sockets_of(url, psutil.CONN_ESTABLISHED), seconds=5)
        assert b'"ended":null' not in call(url, "GET", "/_emulator/requests")[1]


def test_a_stream_that_is_cut_while_its_client_takes_nothing_leaves_nothing_behind() -> None:
    rule = {"reply": {"text": LONG[:500_000]}, "fault": {"break": "cut", "after_tokens": 100_000}}
    with engine_running(StubEngine()) as url:
        made = call(url, "POST", "/_emulator/rules", json.dumps({"rules": [rule]}).encode())
        assert made[0].status < 300, made[1]
        with Client(url) as client:
            client.request(f"{PATH}-with-response-stream", BODY)
            client.read(until=h2.events.DataReceived)
        until(lambda: not sockets_of(url, psutil.CONN_ESTABLISHED), seconds=5)


def test_a_thousand_streams_at_once_share_a_connection() -> None:
    with engine_running(StubEngine([" a"])) as url, Client(url) as client:
        for number in range(999):
            client.request(PATH, BODY[:9], stream=2 * number + 1, is_whole=False)
        client.request("/no/operation", b"", stream=2 * 999 + 1)
        events = client.read(until=h2.events.StreamEnded)

    assert not client.closed_by_server
    assert events[-1].stream_id == 2 * 999 + 1
