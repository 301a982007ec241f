"""Whole answers over HTTP/1.1, written without h11, which costs more than all that is sent.

h11 (0.16) checks each header of a response with regular expressions, copies them all, and follows
head, body and end through its states; Hypercorn (0.18) makes events of them. An answer of a known
length on a connection that stays open needs none of this: it is written at once, and a new h11
connection reads the next request. Every other answer goes the usual way.
"""

from collections.abc import Iterable
from time import time
from typing import Any

import h11
import hypercorn.protocol
from hypercorn.events import Closed, RawData, Updated
from hypercorn.protocol.events import Body, EndBody, Event, Request
from hypercorn.protocol.h11 import STREAM_ID
from hypercorn.protocol.http_stream import ASGIHTTPState, HTTPStream
from hypercorn.utils import suppress_body

from invoke_api.header_order import OrderedProtocol

# RFC 9110, 5.5, says of what a field may be made: tab, space, visible characters, obs-text.
LEGAL = bytes([9, *range(32, 127), *range(128, 256)])


class WholeProtocol(OrderedProtocol):
    """Hypercorn's HTTP/1.1, which can be given the bytes of an answer."""

    async def _check_protocol(self, event: h11.Request) -> None:
        """Nothing, for Hypercorn decodes every header here, and again in what comes next."""

    async def _create_stream(self, request: h11.Request) -> None:
        headers = [(name.lower(), value) for name, value in request.headers.raw_items()]
        if request.method == b"PRI" or any(name == b"upgrade" for name, _ in headers):
            await super()._check_protocol(request)
            await super()._create_stream(request)
            return
        self.stream = WholeStream(self)
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=headers,
                http_version=request.http_version.decode(),
                method=request.method.decode("ascii").upper(),
                raw_path=request.target,
                state=self.connection_state,
            )
        )
        self.keep_alive_requests += 1
        await self.context.mark_request()

    def is_waiting(self) -> bool:
        """For an answer to a whole request, after which there may be another over HTTP/1.1."""
        states = (self.connection.our_state, self.connection.their_state)
        return states == (h11.SEND_RESPONSE, h11.DONE)

    async def answer(self, answer: bytes) -> None:
        """Write it, and do as Hypercorn does after the end of a response."""
        await self.send(RawData(data=answer))
        await self._close_stream()
        await self.can_read.set()
        if self.context.terminated.is_set() or not self.is_waiting():
            await self.send(Closed())
            return
        data, is_closed = self.connection.trailing_data
        self.connection = h11.Connection(
            h11.SERVER, max_incomplete_event_size=self.config.h11_max_incomplete_size
        )
        if data:
            self.connection.receive_data(data)
        if is_closed:
            self.connection.receive_data(b"")
        await self.send(Updated(idle=True))


class WholeStream(HTTPStream):
    """Hypercorn's side of one request, which holds the head until the body has begun.

    It holds each part of the request's body, too, until the next: the last goes with the end.
    """

    def __init__(self, protocol: WholeProtocol) -> None:
        super().__init__(
            protocol.app,
            protocol.config,
            protocol.context,
            protocol.task_group,
            protocol.ssl,
            protocol.client,
            protocol.server,
            protocol.stream_send,
            STREAM_ID,
        )
        self._protocol = protocol
        self._start: Any = None
        self._part = b""

    async def handle(self, event: Event) -> None:
        if self.closed or not isinstance(event, Body | EndBody):
            await super().handle(event)
            return
        is_over = isinstance(event, EndBody)
        if is_over or self._part:
            body, self._part = self._part, b""
            await self.app_put({"type": "http.request", "body": body, "more_body": not is_over})
        if isinstance(event, Body):
            self._part = bytes(event.data)

    async def app_send(self, message: Any) -> None:  # noqa: ANN401 - ASGI's
        start, self._start = self._start, None
        if start is None:
            if self.state is ASGIHTTPState.REQUEST and _is(message, "http.response.start"):
                self._start = message
            else:
                await super().app_send(message)
            return
        answer = self._encode(start, message) if _is(message, "http.response.body") else None
        if answer is None:
            await super().app_send(start)
            await super().app_send(message)
            return
        self.state = ASGIHTTPState.CLOSED
        await self.config.log.access(self.scope, start, time() - self.start_time)
        await self._protocol.answer(answer)

    def _encode(self, start: Any, message: Any) -> bytes | None:  # noqa: ANN401 - ASGI's
        status = start["status"]
        if message.get("more_body", False) or suppress_body(self.scope["method"], status):
            return None
        if not self._protocol.is_waiting():
            return None
        return encode_whole(status, start["headers"], message.get("body", b""))


def _is(message: Any, kind: str) -> bool:  # noqa: ANN401 - ASGI's
    return message is not None and message["type"] == kind


def encode_whole(status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> bytes | None:
    """The answer, as h11 would write it; None if it has reasons to write another."""
    lines = [b"%b: %b" % (name, value.strip()) for name, value in headers]
    fields = {name.lower(): value for name, value in headers}
    if (
        fields.get(b"content-length") != b"%d" % len(body)
        or fields.get(b"connection", b"keep-alive") != b"keep-alive"
        or b"transfer-encoding" in fields
        or len(fields) < len(lines)
    ):
        return None
    head = b"\r\n".join([b"HTTP/1.1 %d " % status, *lines])
    if head.translate(None, LEGAL) != b"\r\n" * len(lines):
        return None
    return b"%b\r\n\r\n%b" % (head, body)


def install() -> None:
    """Make Hypercorn use it for every HTTP/1.1 connection from now on."""
    hypercorn.protocol.H11Protocol = WholeProtocol  # type: ignore[attr-defined]  # where Hypercorn looks
