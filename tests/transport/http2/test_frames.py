"""Splitting of HTTP/2 bytes into frames, with pieces of any size."""

import pytest
from h2.errors import ErrorCodes
from hypothesis import given
from hypothesis import strategies as st

from invoke_api.transport.http2.frames import (
    MAX_FRAME_BYTES,
    PADDED,
    PREFACE,
    ConnectionFault,
    FrameKind,
    Http2Frame,
    Http2FrameReader,
)
from tests.support.http2 import DATA, HELLO, PING, SETTINGS, frame

frames = st.builds(
    frame, st.integers(0, 255), st.integers(0, 255), st.integers(0, 2**31 - 1), st.binary()
)


@given(st.lists(frames), st.lists(st.integers(1, 40)))
def test_whole_frames_come_out_as_they_went_in_however_they_are_cut(
    sent: list[bytes], sizes: list[int]
) -> None:
    data = PREFACE + b"".join([frame(SETTINGS), *sent])
    reader, read = Http2FrameReader(), list[Http2Frame]()
    for size in sizes:
        read += reader.feed(data[:size])
        data = data[size:]
    read += reader.feed(data)

    assert [each.raw for each in read] == [frame(SETTINGS), *sent]


def test_a_frame_is_read_byte_by_byte() -> None:
    reader, read = Http2FrameReader(), list[Http2Frame]()
    for byte in HELLO + frame(DATA, 1, 5, b"abc"):
        read += reader.feed(bytes([byte]))

    assert read[-1] == Http2Frame(FrameKind.DATA, 1, 5, frame(DATA, 1, 5, b"abc"))
    assert read[-1].size == 3


def test_the_reserved_bit_is_ignored() -> None:
    reader = Http2FrameReader()

    assert list(reader.feed(HELLO + frame(PING, 0, 2**31 + 7)))[-1].stream_id == 7


@pytest.mark.parametrize(
    ("payload", "size"), [(b"\x02abc\0\0", 3), (b"\x00", 0), (b"", 0), (b"\x09a", -8)]
)
def test_padding_is_no_data(payload: bytes, size: int) -> None:
    assert Http2Frame(FrameKind.DATA, PADDED, 1, frame(DATA, PADDED, 1, payload)).data_size == size


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"G", ErrorCodes.PROTOCOL_ERROR),
        (PREFACE[:10] + b"x", ErrorCodes.PROTOCOL_ERROR),
        (PREFACE + frame(PING), ErrorCodes.PROTOCOL_ERROR),
        (PREFACE + frame(SETTINGS, 1), ErrorCodes.PROTOCOL_ERROR),
        (HELLO + (MAX_FRAME_BYTES + 1).to_bytes(3) + bytes(6), ErrorCodes.FRAME_SIZE_ERROR),
    ],
    ids=["HTTP/1.1", "half a preface", "no SETTINGS", "an answer to none", "a long frame"],
)
def test_a_mistake_is_noticed_at_the_first_byte_that_makes_it(data: bytes, code: int) -> None:
    reader = Http2FrameReader()
    for byte in data[:-1]:
        list(reader.feed(bytes([byte])))

    with pytest.raises(ConnectionFault) as caught:
        list(reader.feed(data[-1:]))
    assert caught.value.code == code
