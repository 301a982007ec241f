"""HTTP/1.1 answers as bytes. Pure; the caller says how the body is framed."""

from enum import Enum, auto
from http import HTTPStatus

import orjson

from invoke_api.transport.writer_extension import Headers

# The bytes that the head of an answer may contain: tab, space, visible characters, obs-text.
LEGAL = bytes([9, *range(32, 127), *range(128, 256)])
LAST_CHUNK = b"0\r\n\r\n"
CHUNKED = (b"Transfer-Encoding", b"chunked")
STATUS_LINES = {each.value: f"HTTP/1.1 {each.value} {each.phrase}".encode() for each in HTTPStatus}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Framing(Enum):
    """The way in which a client finds the end of a body (RFC 9112, 6.3)."""

    LENGTH = auto()  # by Content-Length
    CHUNKED = auto()
    CLOSE = auto()  # by the end of the connection
    NONE = auto()  # there is no body


def choose_framing(method: str, status: int, headers: Headers, http_version: str) -> Framing:
    """Return the framing of this answer's body."""
    if method == "HEAD" or status in (204, 304):
        return Framing.NONE
    if any(name.lower() == b"content-length" for name, _ in headers):
        return Framing.LENGTH
    return Framing.CHUNKED if http_version == "1.1" else Framing.CLOSE


def encode_head(status: int, headers: Headers, framing: Framing, *, closes: bool) -> bytes:
    """Return the head of an answer. Raise `ValueError` for a header that would break it.

    Transfer-Encoding precedes Connection, if there is one, as on Bedrock. `closes` tells whether
    the connection ends after this answer.
    """
    lines = [STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status]
    told = False
    is_chunked = framing is Framing.CHUNKED
    for name, value in headers:
        if len(name) == len(b"connection") and name.lower() == b"connection":
            if is_chunked:
                lines.append(b"Transfer-Encoding: chunked")
                is_chunked = False
            told = True
            if closes:
                lines.append(b"%b: close" % name)
                continue
        lines.append(b"%b: %b" % (name, value))
    if is_chunked:
        lines.append(b"Transfer-Encoding: chunked")
    if closes and not told:
        lines.append(b"Connection: close")
    head = b"\r\n".join(lines)
    if head.translate(None, LEGAL) != b"\r\n" * (len(lines) - 1):
        raise ValueError("a header of an answer has a character that no header may have")
    return head + b"\r\n\r\n"


def encode_chunk(data: bytes) -> bytes:
    """Return one chunk, or nothing for no data, because an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def encode_refusal(status: int, message: str, code: str = "ValidationException") -> bytes:
    """Return the whole answer to a request that never reaches the application.

    Guess: AWS's front door answers such requests with a page of HTML; SDKs read JSON.
    """
    body = orjson.dumps({"message": message})
    headers = [
        (b"Content-Type", b"application/json"),
        (b"Content-Length", b"%d" % len(body)),
        (b"Connection", b"close"),
        (b"x-amzn-ErrorType", code.encode()),
    ]
    return encode_head(status, headers, Framing.LENGTH, closes=True) + body
