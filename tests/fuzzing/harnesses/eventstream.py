"""Event-stream frames: splitting, decoding, encoding, and their form in a cassette."""

from contextlib import suppress

from botocore.eventstream import EventStreamBuffer

from invoke_api.cassettes.json_encoding import frame_to_bytes, frame_to_readable
from invoke_api.wire.eventstream import (
    FrameError,
    decode_frame,
    encode_frame,
    split_frames,
    tear,
)


def check(data: bytes) -> None:
    _check_splitting(data)
    _check_writing(data)
    with suppress(FrameError):
        for frame in split_frames(data)[0]:
            _check_frame(frame)
    _check_frame(data)


def _check_splitting(data: bytes) -> None:
    """Check that single bytes give the same frames and errors as all bytes at once."""
    try:
        frames, rest = split_frames(data)
    except FrameError as error:
        whole: object = str(error)
    else:
        assert b"".join(frames) + rest == data
        whole = frames, rest
    assert _split_slowly(data) == whole or isinstance(whole, str)


def _split_slowly(data: bytes) -> object:
    found, rest = [], b""
    try:
        for at in range(len(data)):
            frames, rest = split_frames(rest + data[at : at + 1])
            found += frames
    except FrameError as error:
        return str(error)
    return found, rest


def _check_frame(frame: bytes) -> None:
    assert frame_to_bytes(frame_to_readable(frame)) == frame
    try:
        decoded = decode_frame(frame)
    except FrameError:
        return
    if all(isinstance(value, str) for value in decoded.headers.values()):
        texts = {name: str(value) for name, value in decoded.headers.items()}
        assert encode_frame(texts, decoded.payload) == frame or "" in texts
    try:
        decode_frame(tear(frame))
    except FrameError:
        return
    raise AssertionError("a torn frame is decoded")


def _check_writing(data: bytes) -> None:
    """Check that encoded frames are decoded to the same values, also by botocore."""
    text, _, payload = data.partition(b"\0")
    value = text.decode("utf-8", "replace")[:1_000]
    headers = {":event-type": value, ":content-type": "x" * (len(payload) % 255)}
    frame = encode_frame(headers, payload)
    decoded = decode_frame(frame)
    assert decoded.headers == headers
    assert decoded.payload == payload
    buffer = EventStreamBuffer()
    buffer.add_data(frame)
    [event] = buffer
    assert event.headers == headers
    assert event.payload == payload
