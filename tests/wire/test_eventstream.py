"""AWS's published event-stream vectors, from the suites of botocore and smithy-python."""

import time
from dataclasses import dataclass
from operator import attrgetter

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from invoke_api.wire.eventstream import (
    FrameError,
    FrameReader,
    HeaderValue,
    decode_frame,
    encode_frame,
    encode_payloads,
)


@dataclass(frozen=True)
class Vector:
    name: str
    frame: bytes
    headers: dict[str, HeaderValue]
    payload: bytes = b""


VECTORS = [
    Vector("empty", bytes.fromhex("00000010 00000000 05c248eb 7d98c8ff"), {}),
    Vector(
        "int8",
        bytes.fromhex("00000017 00000007 29860158 04") + b"byte" + bytes.fromhex("02ff c2f869dc"),
        {"byte": -1},
    ),
    Vector(
        "int16",
        bytes.fromhex("00000019 00000009 710e923e 05")
        + b"short"
        + bytes.fromhex("03ffff b27cb6cc"),
        {"short": -1},
    ),
    Vector(
        "int32",
        bytes.fromhex("0000001d 0000000d 83e3f0e7 07")
        + b"integer"
        + bytes.fromhex("04ffffffff 8b8e12eb"),
        {"integer": -1},
    ),
    Vector(
        "int64",
        bytes.fromhex("0000001e 0000000e 5d4adb8d 04")
        + b"long"
        + bytes.fromhex("05ffffffffffffffff 4bc232da"),
        {"long": -1},
    ),
    Vector(
        "payload without headers",
        bytes.fromhex("0000001d 00000000 fd528c5a") + b"{'foo':'bar'}" + bytes.fromhex("c3653936"),
        {},
        b"{'foo':'bar'}",
    ),
    Vector(
        "one string header",
        bytes.fromhex("0000003d 00000020 07fd8396 0c")
        + b"content-type\x07\x00\x10application/json{'foo':'bar'}"
        + bytes.fromhex("8d9c08b1"),
        {"content-type": "application/json"},
        b"{'foo':'bar'}",
    ),
    Vector(
        "every header type",
        bytes.fromhex("00000062 00000052 03b5cb9c")
        + bytes.fromhex("013000 013101 01320202 0133030003 01340400000004")
        + bytes.fromhex("0135050000000000000005 0136060005")
        + b"bytes\x017\x07\x00\x04utf8"
        + bytes.fromhex("0138080000000000000008 013909")
        + b"0123456789abcdef"
        + bytes.fromhex("63353671"),
        {
            "0": True,
            "1": False,
            "2": 2,
            "3": 3,
            "4": 4,
            "5": 5,
            "6": b"bytes",
            "7": "utf8",
            "8": 8,
            "9": b"0123456789abcdef",
        },
    ),
    Vector(
        "an error",
        bytes.fromhex("00000052 00000042 bf23637e 0d")
        + b":message-type\x07\x00\x05error\x0b:error-code\x07\x00\x04code"
        + b"\x0e:error-message\x07\x00\x07message"
        + bytes.fromhex("6b6cea3d"),
        {":message-type": "error", ":error-code": "code", ":error-message": "message"},
    ),
]

BROKEN = {
    "wrong total length": (
        "0100001d 00000000 fd528c5a" + b"{'foo':'bar'}".hex() + "c3653936",
        "checksum of the prelude",
    ),
    "wrong payload": (
        "0000001d 00000000 fd528c5a" + b"{'foo':'bar'".hex() + "8dc3653936",
        "checksum of the message",
    ),
    "wrong header name": (
        "0000003d 00000020 07fd8396 0c"
        + b"content+type\x07\x00\x10application/json{'foo':'bar'}".hex()
        + "8d9c08b1",
        "checksum of the message",
    ),
    "wrong header length": (
        "0000003d ff000102 07fd8396 0c"
        + b"content-type\x07\x00\x10application/json{'foo':'bar'}".hex()
        + "8d9c08b1",
        "checksum of the prelude",
    ),
    "header twice": (
        "00000024 00000014 4bb982d0" + b"\x04test\x04asdf\x04test\x04asdf".hex() + "f3f47563",
        "duplicate header",
    ),
    "too short": ("00000010", "less than 16"),
}


@pytest.mark.parametrize("vector", VECTORS, ids=attrgetter("name"))
def test_a_published_frame_is_read(vector: Vector) -> None:
    frame = decode_frame(vector.frame)

    assert frame.headers == vector.headers
    assert frame.payload == vector.payload


@pytest.mark.parametrize(
    "vector",
    [v for v in VECTORS if all(isinstance(value, str) for value in v.headers.values())],
    ids=attrgetter("name"),
)
def test_a_published_frame_of_strings_is_written_to_the_byte(vector: Vector) -> None:
    headers = {name: str(value) for name, value in vector.headers.items()}

    assert encode_frame(headers, vector.payload) == vector.frame


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_frame_is_refused_by_the_rule_it_breaks(name: str) -> None:
    frame, rule = BROKEN[name]

    with pytest.raises(FrameError, match=rule):
        decode_frame(bytes.fromhex(frame))


@pytest.mark.parametrize(
    ("headers", "rule"),
    [
        (b"\x01a\x0b", "unknown header type 11"),
        (b"\x05a", "truncated"),
        (b"\x01a\x04\x00\x00", "truncated"),
        (b"\x01a\x07\x00\x09short", "truncated"),
        (b"\x01\xff\x00", "invalid"),
    ],
)
def test_broken_headers_inside_a_sound_frame_are_refused(headers: bytes, rule: str) -> None:
    with pytest.raises(FrameError, match=rule):
        decode_frame(encode_payloads(headers, [b""]))


def test_botocore_reads_our_frames_one_byte_at_a_time() -> None:
    frames = encode_frame({":event-type": "chunk"}, b"one") + encode_frame({}, "zwölf".encode())
    buffer = EventStreamBuffer()
    messages = []
    for at in range(len(frames)):
        buffer.add_data(frames[at : at + 1])
        messages += list(buffer)

    assert [(m.headers, m.payload) for m in messages] == [
        ({":event-type": "chunk"}, b"one"),
        ({}, "zwölf".encode()),
    ]


@given(payloads=st.lists(st.binary(max_size=40), max_size=6), cuts=st.data())
def test_frames_are_read_whatever_pieces_they_come_in(
    payloads: list[bytes], cuts: st.DataObject
) -> None:
    frames = [encode_frame({":event-type": "chunk"}, payload) for payload in payloads]
    raw = b"".join(frames) + b"\0\0\0"
    reader, found = FrameReader(), []
    while raw:
        size = cuts.draw(st.integers(1, len(raw)))
        found += reader.feed(raw[:size])
        raw = raw[size:]

    assert found == frames
    assert reader.take() == b"\0\0\0"
    assert reader.take() == b""


def test_a_large_frame_in_small_pieces_takes_as_long_as_it_is() -> None:
    frame = encode_frame({}, bytes(4 * 2**20))
    reader, found = FrameReader(), []
    began = time.process_time()
    for at in range(0, len(frame), 64):
        found += reader.feed(frame[at : at + 64])

    assert found == [frame]
    assert time.process_time() - began < 5  # seconds; usually 0.05


def test_bytes_that_are_no_frame_are_still_held() -> None:
    reader = FrameReader()
    reader.feed(b"\xff")
    with pytest.raises(FrameError):
        reader.feed(b"\xff\xff\xff and more")

    assert reader.take() == b"\xff\xff\xff\xff and more"
    assert reader.feed(VECTORS[0].frame) == [VECTORS[0].frame]


@pytest.mark.parametrize("headers", [{"n" * 256: ""}, {"n": "v" * 65_536}, {"é" * 128: ""}])
def test_a_header_that_does_not_fit_is_no_frame(headers: dict[str, str]) -> None:
    with pytest.raises(FrameError, match="is too long"):
        encode_frame(headers, b"")
