"""Writing past the lock keeps the order for a slow client, who still slows the stream down."""

import json
import socket
import time
from base64 import b64decode
from urllib.parse import urlsplit

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
