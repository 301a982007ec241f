"""Idle connections: their timeouts, and the shutdown of the service, which waits for calls only."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import pytest
from h2.events import StreamEnded

from invoke_api.transport.limits import Limits
from tests.pipeline.test_leaving import running
from tests.support.http2 import DATA, END_HEADERS, END_STREAM, PING, Client, RawClient, frame, head
from tests.support.servers import SEVEN_B, engine_running
from tests.support.stubs import StubEngine
from tests.support.waiting import until

BODY = b'{"prompt": "Hi"}'
REQUEST = (
    f"POST /model/{SEVEN_B}/invoke HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BODY)}\r\n\r\n"
).encode() + BODY


@contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        yield connection


def seconds_until_closed(connection: socket.socket) -> float:
    began = time.monotonic()
    while connection.recv(65_536):
        pass
    return time.monotonic() - began


def test_an_idle_connection_over_http_2_is_closed_in_time() -> None:
    with engine_running(StubEngine([" a"]), limits=Limits(idle=0.5)) as url, Client(url) as client:
        client.request(f"/model/{SEVEN_B}/invoke", BODY)
        client.read(until=StreamEnded)
        began = time.monotonic()
        client.read()

        assert client.closed_by_server
        assert 0.4 < time.monotonic() - began < 5


@pytest.mark.parametrize(
    "begun",
    [
        b"\0\0\x40\1\5\0\0\0\3",  # HEADERS without its payload of 64 bytes
        b"\0\0\0\1\1\0\0\0\3",  # HEADERS that continue in another frame
        b"\0\0\x40\0\0\0\0\0\1",  # DATA
    ],
    ids=["frame", "head", "body"],
)
def test_half_a_frame_ends_its_connection_in_time_though_a_call_is_in_flight(begun: bytes) -> None:
    engine = StubEngine([" on"] * 10_000, pause=0.05)
    path = f"/model/{SEVEN_B}/invoke"
    with engine_running(engine, limits=Limits(head=0.4)) as url, RawClient(url) as client:
        call = head(1, path, method="POST", flags=END_HEADERS)
        client.send(call, frame(DATA, END_STREAM, 1, BODY))
        until(lambda: running(url) == 1, seconds=5)
        client.send(begun)
        began = time.monotonic()
        client.read()

        assert client.closed_by_server
        assert 0.3 < time.monotonic() - began < 5


def test_frames_that_end_one_after_another_keep_the_connection_however_they_are_cut() -> None:
    engine = StubEngine([" on"] * 10_000, pause=0.05)
    path = f"/model/{SEVEN_B}/invoke"
    ping = frame(PING, payload=b"x" * 8)
    with engine_running(engine, limits=Limits(head=0.6)) as url, RawClient(url) as client:
        call = head(1, path, method="POST", flags=END_HEADERS)
        client.send(call, frame(DATA, END_STREAM, 1, BODY))
        until(lambda: running(url) == 1, seconds=5)
        client.send(ping[:4])
        for _ in range(20):  # together longer than the limit
            time.sleep(0.1)
            client.send(ping[4:] + ping[:4])

        assert running(url) == 1


def test_a_call_over_http_2_holds_up_the_end_of_the_service_as_long_as_it_runs() -> None:
    with ExitStack() as service:
        url = service.enter_context(engine_running(StubEngine([" slow"], pause=0.5)))
        with Client(url) as client:
            client.request(f"/model/{SEVEN_B}/invoke", BODY)
            until(lambda: running(url) == 1, seconds=5)
            began = time.monotonic()
            service.close()

            assert time.monotonic() - began < 5


def test_an_idle_connection_does_not_hold_up_the_end_of_the_service() -> None:
    with ExitStack() as service, ExitStack() as client:
        url = service.enter_context(engine_running(StubEngine([" a"])))
        connection = client.enter_context(connected(url))
        connection.sendall(REQUEST)
        assert b" a" in connection.recv(65_536)
        began = time.monotonic()
        service.close()

        assert time.monotonic() - began < 5
        assert seconds_until_closed(connection) < 1
