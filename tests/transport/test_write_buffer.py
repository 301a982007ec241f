"""Batched writing: in order, and no faster than a slow client reads."""

import asyncio
import json
import socket
import time
from base64 import b64decode
from urllib.parse import urlsplit

import pytest
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config

from invoke_api.transport import slow_readers
from invoke_api.transport.limits import Limits
from invoke_api.transport.shared_state import SharedState
from invoke_api.transport.write_buffer import FEW_CONNECTIONS, MAX_HELD_BYTES, WritingConnection
from invoke_api.wire.eventstream import Frame
from tests.support.servers import SEVEN_B, call, engine_running
from tests.support.streams import split_frames
from tests.support.stubs import StubEngine
from tests.support.waiting import until_in_loop

TOKENS = [" on" * 5_000 + f" {number}" for number in range(1_000)]


def test_a_client_that_reads_late_gets_all_in_order() -> None:
    with engine_running(StubEngine(TOKENS)) as url:
        address = urlsplit(url)
        with socket.create_connection((address.hostname, address.port)) as connection:
            body = json.dumps({"prompt": "Hi", "max_tokens": len(TOKENS)}).encode()
            path = f"/model/{SEVEN_B}/invoke-with-response-stream"
            connection.sendall(
                f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            time.sleep(0.5)
            entries = json.loads(call(url, "GET", "/_emulator/requests")[1])["requests"]
            read = _read(connection)

    assert entries[0]["ended"] is None, "the service wrote ahead of a client that does not read"
    payloads = b"".join(_chunks(read.partition(b"\r\n\r\n")[2]))
    assert "".join(_text(frame) for frame in split_frames(payloads)) == "".join(TOKENS)


def _text(frame: Frame) -> str:
    chunk = json.loads(b64decode(json.loads(frame.payload)["bytes"]))
    text: str = chunk["outputs"][0]["text"]
    return text


def _read(connection: socket.socket) -> bytes:
    read = bytearray()
    while not read.endswith(b"\r\n0\r\n\r\n"):
        piece = connection.recv(1_000_000)
        assert piece
        read += piece
    return bytes(read)


def _chunks(body: bytes) -> list[bytes]:
    chunks = []
    while body:
        size, _, body = body.partition(b"\r\n")
        chunks.append(body[: int(size, 16)])
        body = body[int(size, 16) + 2 :]
    return chunks


class NoSocket:
    def fileno(self) -> int:
        return -1


class Wire(asyncio.Transport):
    """A transport that records written data. If it is `full`, its client has unread data."""

    def __init__(self, *, full: bool = False) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self._is_full = full

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.is_closing()
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.written[-1:] == [b"closed"]

    def get_write_buffer_size(self) -> int:
        return int(self._is_full)

    def get_extra_info(self, name: str, default: object = None) -> object:
        return NoSocket() if name == "socket" else default

    def close(self) -> None:
        self.written.append(b"closed")

    def abort(self) -> None:
        self.written.append(b"aborted")


def connection_on(wire: Wire, *, others: int = FEW_CONNECTIONS) -> WritingConnection:
    shared = SharedState(
        app=None,
        loop=asyncio.get_running_loop(),
        limits=Limits(),
        state={},
        config=Config(),
        context=WorkerContext(None),
    )
    client = ("127.0.0.1", 1)
    shared.open.update(WritingConnection(shared, client) for _ in range(others))
    connection = WritingConnection(shared, client)
    connection.connection_made(wire)
    return connection


async def test_pieces_of_few_connections_go_out_at_once() -> None:
    wire = Wire()
    connection = connection_on(wire, others=FEW_CONNECTIONS - 1)
    connection.write_soon(b"a")
    connection.write_soon(b"b")

    assert wire.written == [b"a", b"b"]


async def test_pieces_of_a_round_go_out_together_at_its_end() -> None:
    one, other = Wire(), Wire()
    first, second = connection_on(one), connection_on(other)
    for connection in (first, second, first):
        connection.write_soon(b"a")
    assert (one.written, other.written) == ([], [])
    await asyncio.sleep(0)
    assert (one.written, other.written) == ([b"aa"], [b"a"])
    first.write_soon(b"b")
    await asyncio.sleep(0)

    assert one.written == [b"aa", b"b"]


async def test_what_goes_out_at_once_goes_after_what_was_held() -> None:
    wire = Wire()
    connection = connection_on(wire)
    connection.write_soon(b"a")
    connection.write(b"b")
    assert wire.written == [b"ab"]
    await asyncio.sleep(0)

    assert wire.written == [b"ab"]


async def test_too_much_for_one_round_goes_out_at_once() -> None:
    wire = Wire()
    connection_on(wire).write_soon(b"a" * (MAX_HELD_BYTES + 1))

    assert len(wire.written) == 1


async def test_what_is_held_goes_out_before_the_connection_closes() -> None:
    wire = Wire()
    connection = connection_on(wire)
    connection.write_soon(b"a")
    connection.close()
    connection.write(b"too late")
    await asyncio.sleep(0)

    assert wire.written == [b"a", b"closed"]


async def test_a_client_that_has_left_gets_nothing() -> None:
    wire = Wire()
    connection = connection_on(wire)
    connection.write_soon(b"a")
    connection.connection_lost(None)
    connection.write(b"b")
    await asyncio.sleep(0)

    assert wire.written == []
    await connection.wait_for_room()


async def test_a_writer_waits_while_the_client_does_not_read() -> None:
    connection = connection_on(Wire())
    connection.pause_writing()
    waiting = asyncio.ensure_future(connection.wait_for_room())
    await asyncio.sleep(0)
    assert not connection.has_room
    assert not waiting.done()
    connection.resume_writing()
    await waiting

    assert connection.has_room


async def test_a_client_that_takes_nothing_of_the_rest_is_hung_up_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slow_readers, "STALL_SECONDS", 0.02)
    wire = Wire(full=True)
    connection_on(wire).close()
    await until_in_loop(lambda: wire.written == [b"closed", b"aborted"], seconds=2)
