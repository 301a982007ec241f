"""A parser of HTTP/1.1 requests: llhttp, and the checks that llhttp leaves to the server.

Pure: bytes in, events out. llhttp is Node's parser; `httptools` binds it. It rejects malformed
requests (RFC 9112), and Content-Length together with Transfer-Encoding. It does not check the Host
header, the version, transfer codings other than chunked, or any limit.
"""

import re
from typing import NamedTuple

import httptools

from invoke_api.transport.limits import MAX_FRAMING_BYTES, MAX_HEAD_BYTES


class Head(NamedTuple):
    """The head of a request. Headers are in order of arrival, their names in lower case.

    `target` is in origin form, also if the client sent the absolute form.
    """

    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]]
    http_version: str
    keeps_alive: bool
    expects_continue: bool


class EndOfBody:
    """The end of a request's body."""


class Refusal(NamedTuple):
    """The refusal of a request. Nothing that follows is read."""

    status: int
    message: str


RequestEvent = Head | bytes | type[EndOfBody] | Refusal

SUPPORTED_VERSIONS = ("1.0", "1.1")
ABSOLUTE_FORM = re.compile(rb"https?://([^/?#]*)([^#]*)", re.IGNORECASE)
HEAD_TOO_LARGE = Refusal(431, f"The head of the request is larger than {MAX_HEAD_BYTES} bytes.")


class RequestReader:
    """A reader of one connection's requests, in pieces of any size.

    `heads` counts the heads that have begun. `is_in_head` is true while one is incomplete.
    """

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._events: list[RequestEvent] = []
        self._refused: Refusal | None = None
        self._is_over = False  # after an upgrade, or a request with `Connection: close`
        self.is_in_head = False
        self.heads = 0
        self._keeps_alive = True
        self._is_upgrade = False
        self._is_resumed = False  # with the body of a request whose head was read before
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_size = 0  # bytes of names, values and target
        self._unread_head = 0  # bytes of pieces that are completely part of the head
        self._framing = 0  # bytes of a request beside its body
        self._body_bytes = 0  # of this piece

    def feed(self, data: bytes) -> list[RequestEvent]:
        """Return the events of these bytes. `Refusal` is the last event.

        Bytes after `Refusal`, and after a request that closes the connection, are ignored.
        """
        if self._is_over:
            return []
        was_in_head = self.is_in_head
        self._body_bytes = 0
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            [offset] = upgrade.args
            return self._resume(data[offset:])
        except httptools.HttpParserError as error:
            self._note_error(error)
        else:
            self._note_size(len(data), was_in_head=was_in_head)
        events, self._events = self._events, []
        return events

    def _resume(self, rest: bytes) -> list[RequestEvent]:
        """Continue in HTTP/1.1, whatever protocol the client offers to upgrade to.

        Java's HTTP client offers HTTP/2 with each POST over http. A parser cannot continue after an
        upgrade, so a new one gets a head that frames the body.
        """
        self._is_upgrade = False
        self._is_resumed = True
        self._parser = httptools.HttpRequestParser(self)
        events = self.feed(b"POST / HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n" % _framing(self._headers))
        return events + self.feed(rest)

    def _note_error(self, error: httptools.HttpParserError) -> None:
        if not self._is_over:  # llhttp rejects bytes after `Connection: close`; drop them
            self._refuse(self._refused or Refusal(400, f"This is not HTTP/1.1: {error}."))

    def _note_size(self, size: int, *, was_in_head: bool) -> None:
        if self.is_in_head and was_in_head:
            self._unread_head += size
        self._framing += size - self._body_bytes
        if self._unread_head > MAX_HEAD_BYTES or self._head_size > MAX_HEAD_BYTES:
            self._refuse(HEAD_TOO_LARGE)
        elif self._framing > MAX_FRAMING_BYTES:
            self._refuse(Refusal(400, "The framing of the body is larger than a body may need."))

    def _refuse(self, refused: Refusal) -> None:
        self._is_over = True
        self._events.append(refused)

    # Callbacks of httptools, in the order of its calls. An error raised in one ends the parsing.

    def on_message_begin(self) -> None:
        if self._is_over:
            raise ValueError("nothing is read after the last request")
        if self._is_resumed:
            return
        self.is_in_head = True
        self.heads += 1
        self._target, self._headers = b"", []
        self._head_size = self._unread_head = self._framing = 0

    def on_url(self, part: bytes) -> None:
        self._target += part
        self._head_size += len(part)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value) + 4  # the colon, a space, CRLF
        if self.is_in_head:  # trailers are ignored
            self._headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.is_in_head = False
        if self._is_resumed:
            self._is_resumed = False
            return
        if self._head_size > MAX_HEAD_BYTES:
            self._stop(HEAD_TOO_LARGE)
        version = self._parser.get_http_version()
        if refused := _find_problem(self._headers, version):
            self._stop(refused)
        method = self._parser.get_method().decode("ascii")
        target, headers = _to_origin_form(self._target, self._headers)
        # Read only here, because llhttp would let a trailer change it.
        stays = self._parser.should_keep_alive() and method != "CONNECT"
        keeps_alive = self._keeps_alive = version == "1.1" and stays
        self._is_upgrade = self._parser.should_upgrade()
        fields = dict(headers)
        expects = fields.get(b"expect", b"").lower() == b"100-continue"
        self._events.append(Head(method, target, headers, version, keeps_alive, expects))

    def on_body(self, part: bytes) -> None:
        self._events.append(part)
        self._body_bytes += len(part)

    def on_message_complete(self) -> None:
        if self._is_upgrade:  # the body follows after `_resume`
            return
        self._events.append(EndOfBody)
        if not self._keeps_alive:
            self._is_over = True

    def _stop(self, refused: Refusal) -> None:
        self._refused = refused
        raise ValueError(refused.message)


def _find_problem(headers: list[tuple[bytes, bytes]], version: str) -> Refusal | None:
    """Return the refusal of what a server must refuse (RFC 9112) and llhttp accepts, or None."""
    if version not in SUPPORTED_VERSIONS:
        return Refusal(505, f"HTTP/{version} is not spoken here in the form of HTTP/1.1.")
    hosts, codings = 0, []
    for name, value in headers:
        if name == b"host":
            hosts += 1
        elif name == b"transfer-encoding":
            codings.append(value.lower())
    if hosts > 1 or (version == "1.1" and not hosts):  # 3.2
        return Refusal(400, "A request has one Host header.")
    if codings and (version != "1.1" or codings != [b"chunked"]):  # 6.1
        return Refusal(501, "The only Transfer-Encoding that is known is chunked, in HTTP/1.1.")
    return None


def _framing(headers: list[tuple[bytes, bytes]]) -> bytes:
    """Return the header that frames the body."""
    fields = dict(headers)
    if b"transfer-encoding" in fields:
        return b"Transfer-Encoding: chunked"
    return b"Content-Length: " + fields.get(b"content-length", b"0")


def _to_origin_form(
    target: bytes, headers: list[tuple[bytes, bytes]]
) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Convert the absolute form, which clients of proxies send, to a path and a Host header.

    The authority in the target replaces the header (RFC 9112, 3.2.2).
    """
    found = None if target.startswith(b"/") else ABSOLUTE_FORM.match(target)
    if found is None:
        return target, headers
    authority, path = found.groups()
    others = [(name, value) for name, value in headers if name != b"host"]
    return path if path.startswith(b"/") else b"/" + path, [(b"host", authority), *others]
