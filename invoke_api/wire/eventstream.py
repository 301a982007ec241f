"""Encoding and decoding of AWS's event-stream frames (`application/vnd.amazon.eventstream`).

A frame has a prelude (total length, length of the headers, CRC32 of these two), headers, a payload,
and the CRC32 of all bytes before it. Lengths and CRCs are unsigned 32-bit big-endian integers.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from struct import error as struct_error
from struct import pack, unpack, unpack_from
from zlib import crc32

FRAME_OVERHEAD_BYTES = 16  # the prelude's 8 bytes and the two CRCs
MAX_FRAME_BYTES = 24 * 2**20  # the AWS SDKs' limit

HeaderValue = str | bytes | int | bool


class FrameError(ValueError):
    """The error for bytes that are no event-stream frame. Its message names the broken rule."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A decoded frame."""

    headers: Mapping[str, HeaderValue]
    payload: bytes


def encode_frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    return encode_payloads(encode_headers(headers), [payload])


def encode_headers(headers: Mapping[str, str]) -> bytes:
    """Return the block of all headers, each a string (type 7), as in all of Bedrock's recordings.

    Raises `FrameError` for a header that is too long.
    """
    return b"".join(
        _encode_header(name.encode(), value.encode()) for name, value in headers.items()
    )


def _encode_header(name: bytes, value: bytes) -> bytes:
    try:
        return pack("!B", len(name)) + name + pack("!BH", 7, len(value)) + value
    except struct_error:
        raise FrameError(
            f"a header's name of {len(name)} bytes or its value of {len(value)} bytes is too long"
        ) from None


def encode_payloads(headers: bytes, payloads: Iterable[bytes]) -> bytes:
    """Return a frame for each payload, all with the same encoded headers."""
    parts: list[bytes] = []
    for payload in payloads:
        beginning, crc = _begin(headers, len(payload))
        parts += (beginning, payload, crc32(payload, crc).to_bytes(4))
    return b"".join(parts)


@lru_cache(1_024)  # the frames of streams differ by little
def _begin(headers: bytes, size: int) -> tuple[bytes, int]:
    """Return the bytes in front of a payload of `size` bytes, and their CRC32."""
    prelude = pack("!II", FRAME_OVERHEAD_BYTES + len(headers) + size, len(headers))
    # The message CRC covers the prelude CRC too.
    beginning = b"".join((prelude, pack("!I", crc32(prelude)), headers))
    return beginning, crc32(beginning)


def tear(frame: bytes) -> bytes:
    """Return the frame with a wrong checksum, as if its bytes had been damaged on the way."""
    return frame[:-1] + bytes([frame[-1] ^ 0xFF])


def decode_frame(frame: bytes) -> Frame:
    """Decode one whole frame. Raises `FrameError`."""
    if len(frame) < FRAME_OVERHEAD_BYTES:
        raise FrameError(f"the frame has {len(frame)} bytes, less than {FRAME_OVERHEAD_BYTES}")
    total, size, prelude_crc = unpack("!III", frame[:12])
    if prelude_crc != crc32(frame[:8]):
        raise FrameError("the checksum of the prelude does not match")
    if total != len(frame) or size > total - FRAME_OVERHEAD_BYTES:
        raise FrameError(f"lengths {total} and {size} do not fit {len(frame)} bytes")
    if unpack("!I", frame[-4:])[0] != crc32(frame[:-4]):
        raise FrameError("the checksum of the message does not match")
    headers = list(_decode_headers(frame[12 : 12 + size]))
    if len(dict(headers)) < len(headers):
        raise FrameError("the frame has a duplicate header")
    return Frame(dict(headers), frame[12 + size : -4])


# Header type: struct format, size in bytes. 8 is a time in milliseconds, 9 are a UUID's bytes.
NUMBER_FORMATS = {
    2: ("!b", 1),
    3: ("!h", 2),
    4: ("!i", 4),
    5: ("!q", 8),
    8: ("!q", 8),
    9: ("!16s", 16),
}


def _decode_headers(block: bytes) -> Iterator[tuple[str, HeaderValue]]:
    while block:
        try:
            length = block[0]
            name, kind, block = (
                block[1 : 1 + length].decode(),
                block[1 + length],
                block[2 + length :],
            )
            value, block = _decode_value(kind, block)
        except (IndexError, UnicodeDecodeError, struct_error) as error:
            raise FrameError(f"the headers are truncated or invalid: {error}") from error
        yield name, value


def _decode_value(kind: int, block: bytes) -> tuple[HeaderValue, bytes]:
    if kind in (0, 1):
        return kind == 0, block
    if kind in NUMBER_FORMATS:
        form, size = NUMBER_FORMATS[kind]
        value: HeaderValue = unpack(form, block[:size])[0]
        return value, block[size:]
    if kind not in (6, 7):
        raise FrameError(f"unknown header type {kind}")
    (size,) = unpack("!H", block[:2])
    raw = block[2 : 2 + size]
    if len(raw) < size:
        raise FrameError("the headers are truncated")
    return (raw if kind == 6 else raw.decode()), block[2 + size :]


def split_frames(data: bytes) -> tuple[list[bytes], bytes]:
    """Return the whole frames at the start of a stream's bytes, and the rest. Checks lengths only.

    Raises `FrameError` for an impossible length.
    """
    frames = []
    at = 0
    while len(data) >= at + 4:
        (total,) = unpack_from("!I", data, at)
        if not FRAME_OVERHEAD_BYTES <= total <= MAX_FRAME_BYTES:
            raise FrameError(f"impossible frame length: {total} bytes")
        if len(data) < at + total:
            break
        frames.append(data[at : at + total])
        at += total
    return frames, data[at:]


class FrameReader:
    """A buffer that splits a stream into whole frames, in linear time for any size of pieces."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._needed = 4  # bytes before the next split can succeed

    def feed(self, data: bytes) -> list[bytes]:
        """Return the frames that these bytes complete.

        Raises `FrameError` and then keeps all bytes for `take`.
        """
        self._held += data
        if len(self._held) < self._needed:
            return []
        frames, rest = split_frames(bytes(self._held))
        self._held = bytearray(rest)
        self._needed = unpack_from("!I", rest)[0] if len(rest) >= 4 else 4
        return frames

    def take(self) -> bytes:
        """Return the bytes of an incomplete frame, and clear the buffer."""
        held, self._held, self._needed = bytes(self._held), bytearray(), 4
        return held
