"""AWS's event-stream frames (`application/vnd.amazon.eventstream`), written and read.

A frame is: total length, length of the headers, CRC32 of those two; headers; payload; CRC32 of
all before it. Lengths and CRCs are unsigned 32-bit big-endian numbers.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from struct import error as struct_error
from struct import pack, unpack, unpack_from
from zlib import crc32

OVERHEAD = 16  # the prelude's 8 bytes and the two CRCs
LONGEST = 24 * 2**20  # bytes: what the AWS SDKs take

HeaderValue = str | bytes | int | bool


class FrameError(ValueError):
    """These bytes are no event-stream frame; the message names the broken rule."""


@dataclass(frozen=True, slots=True)
class Frame:
    headers: Mapping[str, HeaderValue]
    payload: bytes


def encode_frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    return encode_payloads(encode_headers(headers), [payload])


def encode_headers(headers: Mapping[str, str]) -> bytes:
    """The block of all headers: strings, type 7, as every header in a recorded Bedrock stream.

    Made once where the headers of a stream stay the same. Raises `FrameError` for one too long.
    """
    return b"".join(
        _encode_header(name.encode(), value.encode()) for name, value in headers.items()
    )


def _encode_header(name: bytes, value: bytes) -> bytes:
    try:
        return pack("!B", len(name)) + name + pack("!BH", 7, len(value)) + value
    except struct_error:
        raise FrameError(f"no header has {len(name)} and {len(value)} bytes") from None


def encode_payloads(headers: bytes, payloads: Iterable[bytes]) -> bytes:
    """Return a frame for each payload, all with the same headers, which are encoded already."""
    parts: list[bytes] = []
    for payload in payloads:
        beginning, crc = _begin(headers, len(payload))
        parts += (beginning, payload, crc32(payload, crc).to_bytes(4))
    return b"".join(parts)


@lru_cache(1_024)  # the frames of streams differ by little
def _begin(headers: bytes, size: int) -> tuple[bytes, int]:
    """All that stands before a payload of so many bytes, and its CRC32."""
    prelude = pack("!II", OVERHEAD + len(headers) + size, len(headers))
    # The message CRC covers the prelude CRC too.
    beginning = b"".join((prelude, pack("!I", crc32(prelude)), headers))
    return beginning, crc32(beginning)


def tear(frame: bytes) -> bytes:
    """The frame with a wrong checksum at its end, as if its bytes had been hurt on the way."""
    return frame[:-1] + bytes([frame[-1] ^ 0xFF])


def decode_frame(frame: bytes) -> Frame:
    """One whole frame. Raises `FrameError`."""
    if len(frame) < OVERHEAD:
        raise FrameError(f"a frame has at least {OVERHEAD} bytes, not {len(frame)}")
    total, size, prelude_crc = unpack("!III", frame[:12])
    if prelude_crc != crc32(frame[:8]):
        raise FrameError("the checksum of the prelude does not match")
    if total != len(frame) or size > total - OVERHEAD:
        raise FrameError(f"lengths {total} and {size} do not fit {len(frame)} bytes")
    if unpack("!I", frame[-4:])[0] != crc32(frame[:-4]):
        raise FrameError("the checksum of the message does not match")
    headers = list(_decode_headers(frame[12 : 12 + size]))
    if len(dict(headers)) < len(headers):
        raise FrameError("a header stands in it twice")
    return Frame(dict(headers), frame[12 + size : -4])


# Type of a number: struct format, size in bytes. 8 is a time in milliseconds, 9 a UUID's bytes.
FIXED = {2: ("!b", 1), 3: ("!h", 2), 4: ("!i", 4), 5: ("!q", 8), 8: ("!q", 8), 9: ("!16s", 16)}


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
            raise FrameError(f"the headers are cut short or garbled: {error}") from error
        yield name, value


def _decode_value(kind: int, block: bytes) -> tuple[HeaderValue, bytes]:
    if kind in (0, 1):
        return kind == 0, block
    if kind in FIXED:
        form, size = FIXED[kind]
        value: HeaderValue = unpack(form, block[:size])[0]
        return value, block[size:]
    if kind not in (6, 7):
        raise FrameError(f"there is no header type {kind}")
    (size,) = unpack("!H", block[:2])
    raw = block[2 : 2 + size]
    if len(raw) < size:
        raise FrameError("the headers are cut short")
    return (raw if kind == 6 else raw.decode()), block[2 + size :]


def split_frames(data: bytes) -> tuple[list[bytes], bytes]:
    """The whole frames at the beginning of a stream's bytes, by their lengths alone; and the rest.

    Raises `FrameError` for a length that no frame has.
    """
    frames = []
    at = 0
    while len(data) >= at + 4:
        (total,) = unpack_from("!I", data, at)
        if not OVERHEAD <= total <= LONGEST:
            raise FrameError(f"no frame is {total} bytes long")
        if len(data) < at + total:
            break
        frames.append(data[at : at + total])
        at += total
    return frames, data[at:]


class FrameReader:
    """A stream's bytes as they come, until they are whole frames.

    Each byte is looked at a few times only, however small the pieces are in which a frame comes.
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self._needed = 4  # bytes until there is something to split

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that these bytes complete. Raises `FrameError`, and then all is held."""
        self._held += data
        if len(self._held) < self._needed:
            return []
        frames, rest = split_frames(bytes(self._held))
        self._held = bytearray(rest)
        self._needed = unpack_from("!I", rest)[0] if len(rest) >= 4 else 4
        return frames

    def take(self) -> bytes:
        """All that is held of a frame whose end has not come; from here on it begins anew."""
        held, self._held, self._needed = bytes(self._held), bytearray(), 4
        return held
