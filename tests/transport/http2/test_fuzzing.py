"""Random bytes on an HTTP/2 connection: nothing worse may happen than its end."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.http2 import (
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    HELLO,
    PING,
    PREFACE,
    encode_fields,
    frame,
    head,
)
from tests.transport.http2.on_no_socket import Wire, connected

PATHS = ["/x", "/early", "/stream", "", "*", "x", "/é", "/\0", "//x?y#z"]
METHODS = ["GET", "POST", "CONNECT", "OPTIONS", "PRI", "get", "", "é", "A B"]
FIELDS = {
    ":method": METHODS,
    ":path": PATHS,
    ":scheme": ["http", "https", "", "é"],
    ":authority": ["localhost", "", "é", "a b"],
    ":protocol": ["websocket", ""],
    ":status": ["200"],
    ":other": [""],
    "host": ["localhost", "elsewhere"],
    "content-length": ["0", "5", "-1", "x", "9" * 100],
    "transfer-encoding": ["chunked"],
    "connection": ["close"],
    "te": ["trailers", "gzip"],
    "Upper": ["case"],
    "": ["nameless"],
    "cookie": ["a=b", "\r\n"],
}
STREAMS = st.sampled_from([0, 1, 1, 1, 3, 3, 5, 7, 2, 2**31 - 1, 2**31 + 1])
FLAGS = st.one_of(st.sampled_from([0, END_STREAM, END_HEADERS, 5, 8, 13, 0x20, 0x25]), st.just(255))

fields = st.lists(
    st.sampled_from(list(FIELDS)).flatmap(
        lambda name: st.tuples(st.just(name), st.sampled_from(FIELDS[name]))
    ),
    max_size=8,
).map(lambda pairs: encode_fields(dict(pairs)))
settings_payload = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from([0, 1, 2, 65_535, 2**31 - 1, 2**32 - 1])),
    max_size=4,
).map(lambda pairs: b"".join(key.to_bytes(2) + value.to_bytes(4) for key, value in pairs))
payloads = st.one_of(
    st.binary(max_size=12),
    fields,
    settings_payload,
    st.sampled_from([b"", bytes(4), bytes(5), bytes(8), b"\xff" * 4, bytes(16_384), b"\x82\x84"]),
)
frames = st.one_of(
    st.builds(frame, st.integers(0, 17), FLAGS, STREAMS, payloads),
    st.builds(
        lambda stream, path, method, flags: head(stream, path, method=method, flags=flags),
        STREAMS,
        st.sampled_from(PATHS),
        st.sampled_from(METHODS),
        st.sampled_from([END_HEADERS, END_HEADERS | END_STREAM, 0]),
    ),
    st.builds(frame, st.just(HEADERS), st.just(5), STREAMS, fields),
    st.binary(max_size=30),
)
changes = st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=3)
openings = st.sampled_from(
    [HELLO, HELLO, HELLO, HELLO, PREFACE, b"", PREFACE[:-1], b"GET / HTTP/1.1"]
)


def change(data: bytes, places: Sequence[tuple[int, int]]) -> bytes:
    """Return the bytes with some replaced, but none in the connection preface."""
    changed = bytearray(data)
    for place, value in places:
        if len(data) > len(HELLO):
            changed[len(HELLO) + place % (len(data) - len(HELLO))] = value
    return bytes(changed)


async def send_in_pieces(wire: Wire, data: bytes, size: int) -> None:
    for start in range(0, len(data), size):
        await wire.send(data[start : start + size])
        await asyncio.sleep(0)


async def attack_and_call(data: bytes, size: int) -> None:
    """Send bytes on one connection, and an ordinary request on the next."""
    loop = asyncio.get_running_loop()
    accidents: list[Any] = []
    loop.set_exception_handler(lambda _, context: accidents.append(context))
    async with connected(streams=3) as wire:
        await send_in_pieces(wire, data, size)
        await asyncio.sleep(0)
    assert is_orderly(wire)
    async with connected() as wire:
        await wire.send(HELLO + head(1, "/x"))
        await wire.until(lambda: any(each.kind == HEADERS for each in wire.frames))
    assert not accidents


def is_orderly(wire: Wire) -> bool:
    """Tell whether the server sent at most one GOAWAY."""
    goodbyes = sum(each.kind == GOAWAY for each in wire.frames)
    return goodbyes <= 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(openings, st.lists(frames, max_size=12), changes, st.sampled_from([1, 7, 50, 65_536]))
def test_no_bytes_make_the_server_stumble(
    caplog: pytest.LogCaptureFixture,
    opening: bytes,
    sent: list[bytes],
    places: list[tuple[int, int]],
    size: int,
) -> None:
    with caplog.at_level(logging.DEBUG, "hypercorn"):
        asyncio.run(attack_and_call(opening + change(b"".join(sent), places), size))

    assert not [record for record in caplog.records if record.exc_info]


def test_a_connection_that_survives_still_answers() -> None:
    async def main() -> None:
        async with connected() as wire:
            await send_in_pieces(wire, HELLO + head(1, "/x") + frame(PING, payload=bytes(8)), 1)
            await wire.until(lambda: sum(each.kind in (PING, HEADERS) for each in wire.frames) == 2)

    asyncio.run(main())
