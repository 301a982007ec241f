"""Splitting of HTTP/2 bytes into whole frames, before h2 reads them. Pure: bytes in, frames out.

A frame is a header of nine bytes and a payload (RFC 9113, 4.1), which passes through unchanged.
"""

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from h2.errors import ErrorCodes

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MAX_FRAME_BYTES = 16_384  # of a payload; the service announces no SETTINGS_MAX_FRAME_SIZE
FRAME_HEADER = Struct(">HBBBL")  # three bytes of length in two parts, type, flags, stream
STREAM_BITS = 0x7FFF_FFFF  # the highest bit is reserved


class FrameKind:
    """The types of frames that the service handles itself: RFC 9113, 6, and RFC 9218, 7.

    They are integers, because an enum member is hashed in Python, several times for each frame.
    """

    DATA = 0x0
    HEADERS = 0x1
    PRIORITY = 0x2
    RST_STREAM = 0x3
    SETTINGS = 0x4
    PUSH_PROMISE = 0x5
    PING = 0x6
    GOAWAY = 0x7
    WINDOW_UPDATE = 0x8
    CONTINUATION = 0x9
    PRIORITY_UPDATE = 0x10


ACK = END_STREAM = 0x1
END_HEADERS = 0x4
PADDED = 0x8


class ConnectionFault(Exception):
    """An error of a client that ends its connection, with code and reason of the GOAWAY."""

    def __init__(self, code: ErrorCodes, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Http2Frame(NamedTuple):
    """One frame. `raw` has its header and its payload."""

    kind: int
    flags: int
    stream_id: int
    raw: bytes

    @property
    def size(self) -> int:
        """Return the length of the payload in bytes."""
        return len(self.raw) - FRAME_HEADER.size

    @property
    def data_size(self) -> int:
        """Return the length of a DATA frame's data in bytes, without padding."""
        if not self.flags & PADDED or not self.size:
            return self.size
        return self.size - 1 - self.raw[FRAME_HEADER.size]


class Http2FrameReader:
    """A reader of one client's bytes, preface included, in pieces of any size."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._preface = PREFACE  # the part that has not arrived
        self._has_settings = False

    @property
    def is_mid_frame(self) -> bool:
        """Tell whether a frame or the preface is incomplete."""
        return bool(self._buffer) or 0 < len(self._preface) < len(PREFACE)

    def feed(self, data: bytes) -> Iterator[Http2Frame]:
        """Yield the frames that these bytes complete. Exhaust the iterator before the next call.

        Raises `ConnectionFault` for invalid bytes.
        """
        self._buffer += data[self._skip_preface(data) :]
        start = 0
        try:
            while frame := self._cut(start):
                start += len(frame.raw)
                yield frame
        finally:
            del self._buffer[:start]

    def _skip_preface(self, data: bytes) -> int:
        """Return how many bytes of `data` belong to the preface."""
        size = min(len(self._preface), len(data))
        if data[:size] != self._preface[:size]:
            raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "invalid connection preface")
        self._preface = self._preface[size:]
        return size

    def _cut(self, start: int) -> Http2Frame | None:
        if len(self._buffer) < start + FRAME_HEADER.size:
            return None
        high, low, kind, flags, stream = FRAME_HEADER.unpack_from(self._buffer, start)
        size = (high << 8) | low
        if size > MAX_FRAME_BYTES:  # checked before waiting for the payload
            reason = f"frame of {size:,} bytes, {MAX_FRAME_BYTES:,} at most"
            raise ConnectionFault(ErrorCodes.FRAME_SIZE_ERROR, reason)
        if not self._has_settings:
            self._check_first(kind, flags)
        end = start + FRAME_HEADER.size + size
        if len(self._buffer) < end:
            return None
        return Http2Frame(kind, flags, stream & STREAM_BITS, bytes(self._buffer[start:end]))

    def _check_first(self, kind: int, flags: int) -> None:
        # RFC 9113, 3.4: the preface is followed by a SETTINGS frame, which may be empty.
        if kind != FrameKind.SETTINGS or flags & ACK:
            raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        self._has_settings = True
