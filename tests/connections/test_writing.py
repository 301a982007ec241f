"""Writing past the lock, and in bursts: in order, and not faster than a slow client reads."""

import asyncio
import json
import socket
import time
from base64 import b64decode
from typing import Any
from urllib.parse import urlsplit

from hypercorn.config import Config
from hypercorn.events import Closed, RawData

from invoke_api.connections.writing import MOST_HELD, Piece, WritingServer
from invoke_api.wire.eventstream import Frame
from tests.servers import SEVEN_B, call, engine_running
from tests.streams import split_frames
from tests.stubs import StubEngine

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


class Wire:
    """A writer and its transport, as asyncio has them; `full`, it must be drained first."""

    def __init__(self, *, full: bool = False) -> None:
        self.transport = self
        self.written: list[bytes] = []
        self._waiting = int(full)

    def write(self, data: bytes) -> None:
        assert self.written[-1:] != [b"closed"]
        self.written.append(data)

    async def drain(self) -> None:
        self._waiting = 0

    def is_closing(self) -> bool:
        return self.written[-1:] == [b"closed"]

    def get_write_buffer_size(self) -> int:
        return self._waiting

    def get_extra_info(self, _: str) -> "Wire":
        return self

    def fileno(self) -> int:
        return -1

    def write_eof(self) -> None:
        pass

    def close(self) -> None:
        self.written.append(b"closed")

    async def wait_closed(self) -> None:
        pass


def server_on(wire: Wire) -> WritingServer:
    loop = asyncio.get_running_loop()
    nothing: Any = None
    writer: Any = wire
    return WritingServer(nothing, loop, Config(), nothing, nothing, nothing, writer)


async def test_pieces_of_a_round_go_out_together_at_its_end() -> None:
    one, other = Wire(), Wire()
    first, second = server_on(one), server_on(other)
    for server in (first, second, first):
        await server.protocol_send(Piece(b"a"))
    assert (one.written, other.written) == ([], [])
    await asyncio.sleep(0)
    assert (one.written, other.written) == ([b"aa"], [b"a"])
    await first.protocol_send(Piece(b"b"))
    await asyncio.sleep(0)

    assert one.written == [b"aa", b"b"]


async def test_what_goes_out_at_once_goes_after_what_was_held() -> None:
    wire = Wire()
    server = server_on(wire)
    await server.protocol_send(Piece(b"a"))
    await server.protocol_send(RawData(b"b"))
    assert wire.written == [b"a", b"b"]
    await asyncio.sleep(0)

    assert wire.written == [b"a", b"b"]


async def test_no_more_is_held_than_there_is_room_for() -> None:
    wire = Wire()
    server = server_on(wire)
    for _ in range(3):
        await server.protocol_send(Piece(b"a" * MOST_HELD))

    assert list(map(len, wire.written)) == [2 * MOST_HELD, MOST_HELD]


async def test_nothing_is_held_for_who_must_wait() -> None:
    wire = Wire(full=True)
    server = server_on(wire)
    await server.protocol_send(Piece(b"a"))
    assert wire.written == [b"a"]
    assert not wire.get_write_buffer_size(), "it was not waited for"


async def test_what_is_held_goes_out_before_the_end() -> None:
    wire = Wire()
    server = server_on(wire)
    await server.protocol_send(Piece(b"a"))
    await server.protocol_send(Closed())
    await asyncio.sleep(0)

    assert wire.written == [b"a", b"closed"]


async def test_what_is_held_for_who_has_left_is_dropped() -> None:
    wire = Wire()
    server = server_on(wire)
    await server.protocol_send(Piece(b"a"))
    wire.close()
    await asyncio.sleep(0)

    assert wire.written == [b"closed"]
