"""Encoding of HTTP/1.1 answers. Pure."""

from enum import Enum, auto
from http import HTTPStatus

import orjson

from invoke_api.transport.writer_extension import Headers

# Tab, space, visible characters, obs-text (RFC 9110, 5.5).
LEGAL_HEAD_BYTES = bytes([9, *range(32, 127), *range(128, 256)])
LAST_CHUNK = b"0\r\n\r\n"
STATUS_LINES = {each.value: f"HTTP/1.1 {each.value} {each.phrase}".encode() for each in HTTPStatus}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Framing(Enum):
    """A way in which a client finds the end of a body (RFC 9112, 6.3)."""

    LENGTH = auto()  # by Content-Length
    CHUNKED = auto()
    CLOSE = auto()  # by the end of the connection
    NONE = auto()  # there is no body


class AnswerEncoder:
    """The encoder of one answer: its head, and then the parts of its body in one framing."""

    def __init__(self, method: str, http_version: str) -> None:
        self._method = method
        self._framing = Framing.CHUNKED if http_version == "1.1" else Framing.CLOSE
        self._left = 0  # bytes of the body, with `Framing.LENGTH`

    def head(self, status: int, headers: Headers, *, closes: bool) -> bytes:
        """Return the head. `closes` tells whether the connection is closed after this answer.

        Raises `ValueError` for a header with an illegal character.
        """
        if self._method == "HEAD" or status in (204, 304):
            self._framing = Framing.NONE
        else:
            for name, value in headers:
                if name.lower() == b"content-length":
                    self._framing, self._left = Framing.LENGTH, int(value)
        return _encode_head(status, headers, self._framing, closes=closes)

    def body(self, data: bytes, *, is_last: bool) -> bytes:
        """Return a part of the body in its framing.

        Raises `ValueError` if the body is longer or shorter than its Content-Length.
        """
        if self._framing is Framing.CHUNKED:
            # An empty chunk would end the body.
            chunk = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
            return chunk + LAST_CHUNK if is_last else chunk
        if self._framing is Framing.NONE:
            return b""
        if self._framing is Framing.LENGTH:
            self._left -= len(data)
            if self._left < 0 or (is_last and self._left):
                raise ValueError("the body of the answer is not as long as its Content-Length")
        return data


def _encode_head(status: int, headers: Headers, framing: Framing, *, closes: bool) -> bytes:
    """Return the head of an answer. Raises `ValueError` for a header with an illegal character.

    Transfer-Encoding precedes Connection, if there is one, as on Bedrock. `closes` tells whether
    the connection is closed after this answer.
    """
    lines = [b": ".join(header) for header in headers]
    if closes or framing is Framing.CHUNKED:
        names = [name.lower() for name, _ in headers]
        place = names.index(b"connection") if b"connection" in names else len(lines)
        if closes:
            lines[place : place + 1] = [b"Connection: close"]
        if framing is Framing.CHUNKED:
            lines.insert(place, b"Transfer-Encoding: chunked")
    lines.insert(0, STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status)
    head = b"\r\n".join(lines)
    if head.translate(None, LEGAL_HEAD_BYTES) != b"\r\n" * (len(lines) - 1):
        raise ValueError("a header of the answer contains an illegal character")
    return head + b"\r\n\r\n"


def encode_refusal(status: int, message: str, code: str = "ValidationException") -> bytes:
    """Return the whole answer to a request that never reaches the application.

    Guess: AWS answers such requests with an HTML page, but SDKs read JSON.
    """
    body = orjson.dumps({"message": message})
    headers = [
        (b"Content-Type", b"application/json"),
        (b"Content-Length", b"%d" % len(body)),
        (b"Connection", b"close"),
        (b"x-amzn-ErrorType", code.encode()),
    ]
    return _encode_head(status, headers, Framing.LENGTH, closes=True) + body
