"""Batching of frames: frames that are ready at once are sent at once, without delay."""

import socket
from urllib.parse import urlsplit

from tests.support.servers import SEVEN_B, engine_running
from tests.support.streams import split_frames
from tests.support.stubs import StubEngine

BODY = b'{"prompt": "Hi"}'


def pieces(url: str) -> list[bytes]:
    """Return the chunks of the chunked transfer encoding."""
    address = urlsplit(url)
    head = (
        f"POST /model/{SEVEN_B}/invoke-with-response-stream HTTP/1.1\r\nHost: x\r\n"
        f"Connection: close\r\nContent-Length: {len(BODY)}\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(head.encode() + BODY)
        raw = b"".join(iter(lambda: connection.recv(65_536), b""))
    found = []
    rest = raw.partition(b"\r\n\r\n")[2]
    while size := int(rest.partition(b"\r\n")[0], 16):
        start = rest.index(b"\r\n") + 2
        found.append(rest[start : start + size])
        rest = rest[start + size + 2 :]
    return found


def test_frames_of_one_engine_step_are_sent_together(scripted: str) -> None:
    found = pieces(scripted)

    assert len(found) == 1
    assert len(split_frames(found[0])) > 50


def test_a_single_frame_is_sent_at_once() -> None:
    with engine_running(StubEngine([" a"] * 20, pause=0.01)) as url:
        found = pieces(url)

    assert len(found) >= 19
    assert len(split_frames(b"".join(found))) == 21
