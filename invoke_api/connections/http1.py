"""Plain requests and answers over HTTP/1.1 without h11, which costs more than all the rest.

h11 (0.16) checks each header with regular expressions, copies them all, and follows head, body and
end through its states; Hypercorn (0.18) makes events of them. A request that came whole is read at
once, an answer on a connection that stays open is written as it comes, and h11 sees neither.
Everything else goes the usual way; if only the answer does, h11 is shown the request then.
"""

from time import time
from typing import Any

import h11
import hypercorn.protocol
from hypercorn.events import Closed, RawData, Updated
from hypercorn.events import Event as HypercornEvent
from hypercorn.protocol.events import Body, EndBody, Event, Request
from hypercorn.protocol.h11 import STREAM_ID
from hypercorn.protocol.http_stream import ASGIHTTPState, HTTPStream
from hypercorn.utils import suppress_body

from invoke_api.connections.header_order import OrderedProtocol
from invoke_api.connections.whole import (
    LAST_PIECE,
    WholeRequest,
    encode_piece,
    encode_stream_head,
    encode_whole,
    read_whole,
)
from invoke_api.connections.writing import Piece

BODY = "http.response.body"


class WholeProtocol(OrderedProtocol):
    """Hypercorn's HTTP/1.1, which asks h11 only about requests and answers that are not plain."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on as they come
        super().__init__(*args, **kwargs)
        self._unread = b""  # a request that is being answered, and that h11 has not seen

    async def handle(self, event: HypercornEvent) -> None:
        if isinstance(event, RawData):
            request = read_whole(event.data) if self._is_between_requests() else None
            if request:
                self._unread = event.data
                await self.send(Updated(idle=False))
                await self._answer(request)
                return
            self._show_h11()
        await super().handle(event)

    def _is_between_requests(self) -> bool:
        if self.stream:
            return False
        states = (self.connection.our_state, self.connection.their_state)
        return states == (h11.IDLE, h11.IDLE) and not self.connection.trailing_data[0]

    async def _answer(self, request: WholeRequest) -> None:
        await self._open_stream("POST", request.target, request.headers)
        if self.stream:  # or the service does not want the request at all
            await self.stream.handle(Body(stream_id=STREAM_ID, data=request.body))
        if self.stream:
            await self.stream.handle(EndBody(stream_id=STREAM_ID))

    def _show_h11(self) -> None:
        """Have h11 read what was read without it, for it is to write the answer after all."""
        data, self._unread = self._unread, b""
        if data:
            self.connection.receive_data(data)
            while not isinstance(event := self.connection.next_event(), h11.EndOfMessage):
                assert event is not h11.NEED_DATA, "the request came whole"

    async def _send_h11_event(self, event: Any) -> None:  # noqa: ANN401 - h11's
        self._show_h11()
        await super()._send_h11_event(event)

    async def _check_protocol(self, event: h11.Request) -> None:
        """Nothing, for Hypercorn decodes every header here, and again in what comes next."""

    async def _create_stream(self, request: h11.Request) -> None:
        headers = [(name.lower(), value) for name, value in request.headers.raw_items()]
        if request.method == b"PRI" or any(name == b"upgrade" for name, _ in headers):
            await super()._check_protocol(request)
            await super()._create_stream(request)
            return
        method = request.method.decode("ascii").upper()
        await self._open_stream(method, request.target, headers, request.http_version.decode())

    async def _open_stream(
        self,
        method: str,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        http_version: str = "1.1",
    ) -> None:
        self.stream = WholeStream(self)
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=headers,
                http_version=http_version,
                method=method,
                raw_path=target,
                state=self.connection_state,
            )
        )
        self.keep_alive_requests += 1
        await self.context.mark_request()

    def is_waiting(self) -> bool:
        """For an answer to a whole request, after which there may be another over HTTP/1.1."""
        states = (self.connection.our_state, self.connection.their_state)
        return bool(self._unread) or states == (h11.SEND_RESPONSE, h11.DONE)

    async def write(self, data: bytes) -> None:
        await self.send(RawData(data=data))

    async def write_soon(self, data: bytes) -> None:
        await self.send(Piece(data))

    async def finish(self) -> None:
        """Do as Hypercorn does after the end of a response."""
        await self._close_stream()
        await self.can_read.set()
        if self.context.terminated.is_set() or not self.is_waiting():
            await self.send(Closed())
            return
        if self._unread:
            self._unread = b""
        else:
            self._start_afresh()
        await self.send(Updated(idle=True))

    def _start_afresh(self) -> None:
        data, is_closed = self.connection.trailing_data
        self.connection = h11.Connection(
            h11.SERVER, max_incomplete_event_size=self.config.h11_max_incomplete_size
        )
        if data:
            self.connection.receive_data(data)
        if is_closed:
            self.connection.receive_data(b"")


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
        self._is_chunked = False  # of a body that is being written without h11
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
        if self._is_chunked and message is not None and message["type"] == BODY:
            if not self.closed:  # else the client has left
                await self._write_piece(message)
            return
        start, self._start = self._start, None
        if start is None:
            if self.state is ASGIHTTPState.REQUEST and _is(message, "http.response.start"):
                self._start = message
            else:
                await super().app_send(message)
            return
        answer = self._encode(start, message) if _is(message, BODY) else None
        if answer is None:
            await super().app_send(start)
            await super().app_send(message)
            return
        self.response = start
        if message.get("more_body", False):
            self._is_chunked = True
            self.state = ASGIHTTPState.RESPONSE
            await self._protocol.write(answer + encode_piece(message.get("body", b"")))
        else:
            await self._protocol.write(answer)
            await self._end()

    def _encode(self, start: Any, message: Any) -> bytes | None:  # noqa: ANN401 - ASGI's
        """The whole answer, or the head of one whose end is not there yet."""
        status, headers = start["status"], start["headers"]
        if suppress_body(self.scope["method"], status) or not self._protocol.is_waiting():
            return None
        if not message.get("more_body", False):
            return encode_whole(status, headers, message.get("body", b""))
        is_chunked = self.scope["http_version"] == "1.1" and not start.get("trailers", False)
        return encode_stream_head(status, headers) if is_chunked else None

    async def _write_piece(self, message: Any) -> None:  # noqa: ANN401 - ASGI's
        piece = encode_piece(message.get("body", b""))
        if message.get("more_body", False):
            if piece:
                await self._protocol.write_soon(piece)
            return
        await self._protocol.write(piece + LAST_PIECE)
        await self._end()

    async def _end(self) -> None:
        self.state = ASGIHTTPState.CLOSED
        await self.config.log.access(self.scope, self.response, time() - self.start_time)
        await self._protocol.finish()


def _is(message: Any, kind: str) -> bool:  # noqa: ANN401 - ASGI's
    return message is not None and message["type"] == kind


def install() -> None:
    """Make Hypercorn use it for every HTTP/1.1 connection from now on."""
    hypercorn.protocol.H11Protocol = WholeProtocol  # type: ignore[attr-defined]  # where Hypercorn looks
