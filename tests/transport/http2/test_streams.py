"""Many streams on an HTTP/2 connection without a socket: limits, scheduling and CPU time."""

import asyncio
from time import perf_counter
from typing import Any

import pytest
from h2.errors import ErrorCodes

from tests.support.http2 import (
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    HELLO,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Frame,
    frame,
    head,
    reset,
)
from tests.transport.http2.on_no_socket import Wire, connected

ODD = range(1, 1_000_000, 2)
READ = 65_536  # bytes that the server reads at once


def waiting(stream: int, path: str = "/x") -> bytes:
    return head(stream, path, method="POST", flags=END_HEADERS)


def has(wire: Wire, kind: int, stream: int, flags: int = 0) -> bool:
    return any(
        (each.kind, each.stream_id) == (kind, stream) and each.flags & flags == flags
        for each in wire.frames
    )


async def longest_standstill(gaps: list[float]) -> None:
    while True:
        began = perf_counter()
        await asyncio.sleep(0)
        gaps.append(perf_counter() - began)


async def test_10_000_resets_keep_the_loop_from_nobody() -> None:
    gaps: list[float] = []
    data = HELLO + b"".join(waiting(stream) + reset(stream) for stream in ODD[:10_000])
    async with connected() as wire:
        other = asyncio.create_task(longest_standstill(gaps))
        await asyncio.sleep(0)
        began = perf_counter()
        for start in range(0, len(data), READ):
            await wire.send(data[start : start + READ])
        took = perf_counter() - began
        other.cancel()

    assert wire.frames[-1].code == ErrorCodes.ENHANCE_YOUR_CALM
    assert took < 5  # 0.2 s on an idle core, 40 s with a tree of priorities
    assert max(gaps) < 2  # 10 ms on an idle core


async def test_resets_of_answers_that_have_begun_are_free() -> None:
    async with connected() as wire:
        await wire.send(HELLO)
        for stream in ODD[:3_000]:
            await wire.send(waiting(stream, "/stream"))
            await wire.until(lambda: has(wire, HEADERS, stream))  # noqa: B023 - awaited
            wire.frames.clear()
            await wire.send(reset(stream))

        assert not wire.protocol.closed


async def test_answers_refill_what_a_client_may_reset() -> None:
    async with connected() as wire:
        await wire.send(HELLO)
        for stream in ODD[: 2 * 3_000 : 2]:
            await wire.send(waiting(stream) + reset(stream) + head(stream + 2))
            await wire.until(lambda: has(wire, DATA, stream + 2, END_STREAM))  # noqa: B023 - awaited
            wire.frames.clear()

        assert not wire.protocol.closed


async def test_the_first_streams_up_to_the_limit_are_served_in_one_packet_too() -> None:
    async with connected(streams=10) as wire:
        await wire.send(HELLO + b"".join(waiting(stream) for stream in ODD[:15]))
        refused = [each for each in wire.frames if each.kind == RST_STREAM]
        await wire.send(b"".join(frame(DATA, END_STREAM, stream, b"abc") for stream in ODD[:10]))
        await wire.until(lambda: all(has(wire, DATA, each, END_STREAM) for each in ODD[:10]))

    assert [each.stream_id for each in refused] == list(ODD[10:15])
    assert {each.code for each in refused} == {ErrorCodes.REFUSED_STREAM}


async def test_a_stream_whose_answer_came_early_counts_until_its_body_has_ended() -> None:
    async with connected(streams=2) as wire:
        await wire.send(HELLO + waiting(1, "/early") + waiting(3, "/early"))
        await wire.until(lambda: all(has(wire, DATA, each, END_STREAM) for each in (1, 3)))
        await wire.send(head(5))
        assert has(wire, RST_STREAM, 5)
        await wire.send(frame(DATA, END_STREAM, 3) + head(7))
        await wire.until(lambda: has(wire, DATA, 7, END_STREAM))


async def test_an_application_that_answers_early_does_not_stop_the_connection() -> None:
    async with connected() as wire:
        parts = [frame(DATA, 0, 1, bytes(100)) for _ in range(100)]
        await wire.send(HELLO + waiting(1, "/early") + b"".join(parts) + head(3))
        await wire.until(lambda: has(wire, DATA, 3, END_STREAM))


async def big(_scope: Any, _receive: Any, send: Any) -> None:
    """Answer with 100 kB."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": bytes(100_000)})


async def test_streams_take_turns_frame_by_frame() -> None:
    # The client accepts frames of 100 kB: one stream could finish before the others begin.
    roomy = frame(SETTINGS, payload=b"\x00\x04\x00\xff\xff\xff\x00\x05\x00\xff\xff\xff")
    async with connected(big) as wire:
        await wire.send(PREFACE + roomy + frame(WINDOW_UPDATE, payload=(2**30).to_bytes(4)))
        await wire.send(head(1) + head(3) + head(5))
        await wire.until(lambda: all(has(wire, DATA, each, END_STREAM) for each in (1, 3, 5)))

    order = [each.stream_id for each in wire.frames if each.kind == DATA]
    assert order[:6] == [1, 3, 5] * 2


async def test_room_for_the_connection_wakes_all_streams() -> None:
    async with connected(big) as wire:
        await wire.send(HELLO + head(1) + head(3))
        for stream in (0, 1, 3):
            await asyncio.sleep(0)
            await wire.send(frame(WINDOW_UPDATE, 0, stream, (200_000).to_bytes(4)))
        await wire.until(lambda: all(has(wire, DATA, each, END_STREAM) for each in (1, 3)))

    assert sum(len(each.payload) for each in wire.frames if each.kind == DATA) == 200_000


@pytest.mark.parametrize(("offered", "taken"), [(2**31 - 1, 4_096), (100, 100)])
async def test_the_table_of_headers_stays_small(offered: int, taken: int) -> None:
    setting = b"\x00\x01" + offered.to_bytes(4)
    async with connected() as wire:
        await wire.send(PREFACE + frame(SETTINGS, payload=setting) + head(1))
        await wire.until(lambda: has(wire, DATA, 1, END_STREAM))

        assert wire.protocol.connection.encoder.header_table_size == taken


async def test_who_is_told_goodbye_is_heard_no_more_and_the_connection_closes() -> None:
    async with connected() as wire:
        await wire.send(HELLO + frame(DATA, 0, 0, b"for nobody"))
        await wire.send(frame(PING, payload=bytes(8)))
        await wire.until(lambda: wire.is_closed)

    assert [each.kind for each in wire.frames] == [SETTINGS, SETTINGS, GOAWAY]
    assert Frame(*wire.frames[-1]).code == ErrorCodes.PROTOCOL_ERROR
