"""The bytes of plain requests and answers over HTTP/1.1, as h11 would read and write them.

Only the plainest are known here: a POST with a body of a known length and each header once, which
is what SDKs send, and an answer likewise. All others are h11's to read, to refuse, and to write.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

# RFC 9110, 5.1 and 5.5, and h11's idea of a target.
FIELD = rb"\r\n[-!#$%&'*+.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*"
HEAD = re.compile(rb"POST ([\x21-\x7e]+) HTTP/1\.1(?:%b)+" % FIELD)
# Of what an answer's may be made: tab, space, visible characters, obs-text.
LEGAL = bytes([9, *range(32, 127), *range(128, 256)])
CONNECTION = b"connection"
LAST_PIECE = b"0\r\n\r\n"  # of a body of unknown length
# What these ask for goes beyond a body and its answer.
DEMANDING = frozenset({b"expect", b"transfer-encoding", b"upgrade"})

Headers = Sequence[tuple[bytes, bytes]]


class WholeRequest(NamedTuple):
    """Names of headers are in small letters."""

    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes


def read_whole(data: bytes) -> WholeRequest | None:
    """The one request that this is; None if it is anything else, or nothing plain."""
    head, end, body = data.partition(b"\r\n\r\n")
    found = HEAD.fullmatch(head) if end else None  # without its end, the head may go on
    if not found:
        return None
    lines = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
    headers = [(name.lower(), value.strip()) for name, _, value in lines]
    fields = dict(headers)
    if (
        fields.get(b"content-length") != b"%d" % len(body)
        or b"host" not in fields
        or fields.get(b"connection", b"keep-alive") != b"keep-alive"
        or not DEMANDING.isdisjoint(fields)
        or len(fields) < len(headers)
    ):
        return None
    return WholeRequest(found[1], headers, body)


def encode_whole(status: int, headers: Headers, body: bytes) -> bytes | None:
    """The answer, as h11 would write it; None if it has reasons to write another."""
    fields = {name.lower(): value for name, value in headers}
    if fields.get(b"content-length") != b"%d" % len(body) or not _is_plain(headers, fields):
        return None
    head = _encode_head(status, headers)
    return None if head is None else head + body


def encode_stream_head(status: int, headers: Headers) -> bytes | None:
    """The head of an answer of unknown length; None likewise.

    h11 writes Transfer-Encoding last, Bedrock in front of Connection.
    """
    fields = {name.lower(): value for name, value in headers}
    if b"content-length" in fields or not _is_plain(headers, fields):
        return None
    names = [name.lower() for name, _ in headers]
    place = names.index(CONNECTION) if CONNECTION in fields else len(names)
    inserted = [*headers[:place], (b"Transfer-Encoding", b"chunked"), *headers[place:]]
    return _encode_head(status, inserted)


def encode_piece(data: bytes) -> bytes:
    """A part of a body of unknown length: nothing for no data, for that would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def _is_plain(headers: Headers, fields: Mapping[bytes, bytes]) -> bool:
    """`fields` are the same by their names in small letters: each is there once."""
    return (
        fields.get(CONNECTION, b"keep-alive") == b"keep-alive"
        and b"transfer-encoding" not in fields
        and len(fields) == len(headers)
    )


def _encode_head(status: int, headers: Headers) -> bytes | None:
    lines = [b"%b: %b" % (name, value.strip()) for name, value in headers]
    head = b"\r\n".join([b"HTTP/1.1 %d " % status, *lines])
    if head.translate(None, LEGAL) != b"\r\n" * len(lines):
        return None
    return head + b"\r\n\r\n"
