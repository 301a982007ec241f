"""Clients that flood a connection of HTTP/2: told to calm down, alone, and at little cost."""

import logging
import time
from collections.abc import Iterator

import pytest
from h2.errors import ErrorCodes

from tests.support.http2 import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PRIORITY,
    PRIORITY_UPDATE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Frame,
    RawClient,
    frame,
    head,
    reset,
)
from tests.support.servers import SEVEN_B, call, engine_running
from tests.support.stubs import StubEngine
from tests.support.waiting import until

INVOKE = f"/model/{SEVEN_B}/invoke-with-response-stream"
ODD = range(1, 1_000_000, 2)
SETTING = b"\x00\x04\x00\x00\xff\xff"


def waiting(stream: int) -> bytes:
    """Return the head of a request without its body."""
    return head(stream, INVOKE, method="POST", flags=END_HEADERS)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with engine_running(StubEngine()) as url:
        yield url


FLOODS = {
    "resets": [waiting(stream) + reset(stream) for stream in ODD[:10_000]],
    "resets of streams that are over": [head(1), *[reset(1)] * 10_000],
    "pings": [frame(PING, payload=bytes(8))] * 1_000,
    "answers to pings": [frame(PING, ACK, payload=bytes(8))] * 1_000,
    "settings": [frame(SETTINGS, payload=SETTING)] * 1_000,
    "answers to settings": [frame(SETTINGS, ACK)] * 1_000,
    "many settings at once": [frame(SETTINGS, payload=SETTING * 1_000)],
    "empty data": [waiting(1)] + [frame(DATA, stream=1)] * 10_000,
    "padding alone": [waiting(1)] + [frame(DATA, 8, 1, b"\x03" + bytes(3))] * 10_000,
    "data byte by byte": [waiting(1)] + [frame(DATA, stream=1, payload=b" ")] * 10_000,
    "priorities": [frame(PRIORITY, stream=1, payload=bytes(4) + b"\xff")] * 10_000,
    "priorities of many streams": [
        frame(PRIORITY, stream=stream, payload=bytes(4) + b"\xff") for stream in ODD[:10_000]
    ],
    "newer priorities": [frame(PRIORITY_UPDATE, payload=bytes(3) + b"\x01u=1")] * 10_000,
    "room": [frame(WINDOW_UPDATE, payload=bytes(3) + b"\x01")] * 10_000,
    "room for a stream": [waiting(1)]
    + [frame(WINDOW_UPDATE, stream=1, payload=bytes(3) + b"\x01")] * 10_000,
    "frames of no known type": [frame(99, payload=b"?")] * 1_000,
    "goodbyes": [waiting(1)] + [frame(GOAWAY, payload=bytes(8))] * 1_000,
    "a head without end": [frame(HEADERS, END_STREAM, 1, b"\x82")]
    + [frame(CONTINUATION, stream=1)] * 10_000,
    "a head as long as none": [frame(HEADERS, END_STREAM, 1, bytes(16_384))]
    + [frame(CONTINUATION, stream=1, payload=bytes(16_384))] * 5,
    "heads in pieces": [
        frame(HEADERS, 0, stream, waiting(stream)[9:]) + frame(CONTINUATION, END_HEADERS, stream)
        for stream in ODD[:1_000]
    ],
    "heads for streams that are over": [head(1), reset(1), *[head(1)] * 10_000],
    "a compression bomb": [
        # A field of 4,000 bytes is stored in the table, and then each byte refers to it.
        frame(HEADERS, END_STREAM, 1, b"\x40\x01a\x7f\xa1\x1e" + bytes(4_000) + b"\xbe" * 10_000)
        + frame(CONTINUATION, END_HEADERS, 1)
    ],
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=list(FLOODS))
def test_a_flood_is_told_to_calm_down_and_another_client_is_answered(
    url: str, flood: list[bytes]
) -> None:
    began = time.monotonic()
    with RawClient(url) as client:
        client.send(*flood)
        goodbye = client.read_goodbye()
    response, _ = call(url, "GET", "/_emulator/health")

    assert goodbye
    assert goodbye.code == ErrorCodes.ENHANCE_YOUR_CALM
    assert response.status == 200
    assert time.monotonic() - began < 10  # 10,000 resets took 40 s


def test_the_log_names_the_client_and_the_kind_once(caplog: pytest.LogCaptureFixture) -> None:
    with engine_running(StubEngine()) as url:
        for _ in range(20):
            with RawClient(url) as client:
                client.send(*FLOODS["pings"])
                client.read_goodbye()

    warnings = [each.message for each in caplog.records if each.levelname == "WARNING"]
    assert warnings == ["Closed the HTTP/2 connection of 127.0.0.1: too many PING frames"]


def test_the_calls_of_a_flooding_connection_are_cancelled_and_those_of_others_go_on() -> None:
    engine = StubEngine([" a"] * 1_000, pause=0.01)
    body = b'{"prompt": "Go on."}'
    call_ = waiting(1) + frame(DATA, END_STREAM, 1, body)
    with engine_running(engine) as url, RawClient(url) as other, RawClient(url) as client:
        other.send(call_)
        client.send(call_)
        until(lambda: engine.running() == 2)
        client.send(*FLOODS["pings"])
        client.read()
        until(lambda: engine.running() == 1)
        frames = other.read(until=lambda each: each.kind == DATA)

    assert client.closed_by_server
    assert frames[-1].kind == DATA


def test_what_patient_clients_send_is_within_the_budgets(url: str) -> None:
    with RawClient(url) as client:
        client.send(*FLOODS["pings"][:100], *[frame(SETTINGS)] * 40)
        client.send(*(head(stream) + reset(stream) for stream in ODD[:900]))
        client.send(head(ODD[900]))
        frames = client.read(until=lambda each: each.stream_id == ODD[900] and _ends(each))

    assert sum(each.kind == PING for each in frames) == 100
    assert _ends(frames[-1])


def _ends(each: Frame) -> bool:
    return each.kind == DATA and bool(each.flags & END_STREAM)


def test_a_frame_that_is_too_long_is_refused_before_it_has_come(url: str) -> None:
    with RawClient(url) as client:
        client.send((16_385).to_bytes(3) + b"\x00\x00" + (1).to_bytes(4))
        goodbye = client.read_goodbye()

    assert goodbye
    assert goodbye.code == ErrorCodes.FRAME_SIZE_ERROR


def test_one_stream_too_many_is_refused_alone_and_another_may_begin_when_one_ends() -> None:
    engine = StubEngine([" a"], pause=0.0)
    body = b'{"prompt": "Go on."}'
    with engine_running(engine) as url, RawClient(url) as client:
        for stream in ODD[:1_000]:  # they wait for the rest of their bodies
            client.send(waiting(stream))
        client.send(head(ODD[1_000]))
        refused = client.read(until=lambda each: each.kind == RST_STREAM)[-1]
        client.send(frame(DATA, END_STREAM, ODD[0], body))
        client.read(until=lambda each: each.stream_id == ODD[0] and _ends(each))
        client.send(head(ODD[1_001]))
        after = client.read(until=lambda each: each.stream_id == ODD[1_001])[-1]
        for stream in ODD[1:1_000]:
            client.send(frame(DATA, END_STREAM, stream, body))
        for _ in ODD[1:1_000]:
            assert _ends(client.read(until=_ends)[-1])

    assert refused.stream_id == ODD[1_000]
    assert refused.code == ErrorCodes.REFUSED_STREAM
    assert after.kind == HEADERS


def test_who_opens_one_stream_too_many_again_and_again_is_told_to_calm_down(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with RawClient(url) as client:
        client.send(*(waiting(stream) for stream in ODD[:6_000]))
        goodbye = client.read_goodbye()

    assert goodbye
    assert goodbye.code == ErrorCodes.ENHANCE_YOUR_CALM
    assert not [record for record in caplog.records if record.exc_info]
    assert all(record.levelno == logging.WARNING for record in caplog.records)
