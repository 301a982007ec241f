"""HTTP/1.1 on one connection. Requests go to an ASGI application one after another."""

import asyncio
import logging
from collections import deque
from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import unquote

from invoke_api.transport.http1_encoder import CONTINUE, AnswerEncoder, encode_refusal
from invoke_api.transport.http1_parser import EndOfBody, Head, Refusal, RequestEvent, RequestReader
from invoke_api.transport.limits import MAX_PIPELINED_BYTES, MAX_PIPELINED_REQUESTS
from invoke_api.transport.shared_state import Address, SharedState
from invoke_api.transport.write_buffer import WritingConnection
from invoke_api.transport.writer_extension import WRITER_EXTENSION, ClientListener, Headers

log = logging.getLogger(__name__)

MAX_UNREAD_BODY_BYTES = 1_048_576  # of a body; above this the socket is not read
DISCONNECT = {"type": "http.disconnect"}
REQUEST_TIMEOUT = Refusal(408, "The request was not received in time.")
INTERNAL_ERROR = Refusal(500, "The service failed to answer.")
ERROR_CODES = {408: "RequestTimeoutException", 500: "InternalServerException"}
ASGI_VERSION = {"version": "3.0", "spec_version": "2.4"}
# Seconds between the deadline of a body and that of its connection. The application has the first
# one, and sends a better error message.
BODY_MARGIN_SECONDS = 5.0

Message = Mapping[str, Any]


class ExchangeConnection(Protocol):
    """A connection, as its exchanges use it."""

    @property
    def has_room(self) -> bool: ...
    def write(self, data: bytes) -> None: ...
    def write_soon(self, data: bytes) -> None: ...
    async def wait_for_room(self) -> None: ...
    def note_answered(self, exchange: "Exchange") -> None: ...
    def note_ended(self, exchange: "Exchange") -> None: ...
    def resume_reading_body(self) -> None: ...
    def closes_after(self, exchange: "Exchange") -> bool: ...


class Exchange:
    """One request and its answer.

    `is_complete` is true once the whole request has arrived. `is_answered` is true once the whole
    answer is written. `is_dropped` is true once the client has left.
    """

    def __init__(self, connection: ExchangeConnection, head: Head) -> None:
        self.head = head
        self.is_complete = False
        self.is_answered = False
        self.is_dropped = False
        self.unread_bytes = 0
        self.task: asyncio.Task[None] | None = None
        self._connection = connection
        self._parts: deque[bytes] = deque()
        self._is_read = False  # whether the application has read the whole body
        self._waiters: list[asyncio.Future[None]] = []
        self._start: Message | None = None
        self._listener: ClientListener | None = None
        self._encoder: AnswerEncoder | None = None  # once the head of the answer is written
        self._expects_continue = head.expects_continue

    @property
    def has_begun(self) -> bool:
        """Tell whether the head of the answer is written."""
        return self._encoder is not None

    @property
    def is_full(self) -> bool:
        """Tell whether the connection must stop reading the body from the socket for now."""
        return self.unread_bytes > MAX_UNREAD_BODY_BYTES

    # Methods for the connection.

    def add_body(self, part: bytes) -> None:
        self._expects_continue = False
        if not self.is_answered:
            self._parts.append(part)
            self.unread_bytes += len(part)
            self._wake()

    def complete(self) -> None:
        self.is_complete = True
        self._wake()

    def drop(self) -> None:
        """Tell the application that the client has left."""
        self.is_dropped = True
        self._wake()
        if self._listener:
            self._listener.leave()

    def pause(self) -> None:
        """Tell the listener that the client does not read."""
        if self._listener:
            self._listener.pause()

    def resume(self) -> None:
        if self._listener:
            self._listener.resume()

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    # Methods for the application (ASGI).

    async def run(self, app: Any, scope: dict[str, Any]) -> None:  # noqa: ANN401 - any ASGI application
        """Run the application. Log an error that it raises."""
        try:
            await app(scope, self.receive, self.send)
        except Exception:
            log.exception("the application failed")
        finally:
            self._connection.note_ended(self)

    async def receive(self) -> Message:
        """Return the next part of the body, or a disconnect once the client has left.

        If several tasks wait, each of them gets the disconnect.
        """
        while True:
            if self.is_dropped or self.is_answered:
                return DISCONNECT
            if not self._is_read and (self._parts or self.is_complete):
                return self._next_part()
            if self._expects_continue:
                self._expects_continue = False
                self._connection.write(CONTINUE)
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            finally:
                self._waiters.remove(waiter)

    def _next_part(self) -> Message:
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        was_full = self.is_full
        self._parts.clear()
        self.unread_bytes = 0
        self._is_read = self.is_complete
        if was_full:
            self._connection.resume_reading_body()
        return {"type": "http.request", "body": body, "more_body": not self.is_complete}

    async def send(self, message: Message) -> None:
        """Write a part of the answer. Wait while the client does not read.

        Does nothing once the client has left.
        """
        if message["type"] == "http.response.start":
            self._start = message
            return
        self.write(message.get("body", b""), is_last=not message.get("more_body", False))
        await self.drain()

    # Methods for the application: the extension `invoke_api.writer`.

    def take_body(self) -> bytes | None:
        """Return the whole body of the request if it has arrived, else None; replaces `receive`."""
        if not self.is_complete or self._is_read:
            return None
        body: bytes = self._next_part()["body"]
        return body

    def listen(self, listener: ClientListener | None) -> None:
        """Pass events of the client to this listener from now on, and past ones at once."""
        self._listener = listener
        if listener and self.is_dropped:
            listener.leave()
        elif listener and not self._connection.has_room:
            listener.pause()

    def start(self, status: int, headers: Headers) -> None:
        self._start = {"status": status, "headers": headers}

    def write(self, data: bytes, *, is_last: bool = False) -> None:
        """Write a part of the answer. Does nothing once the client has left."""
        if self.is_dropped or self.is_answered:
            return
        encoder = self._encoder
        if encoder is None:
            assert self._start, "call `start` first"
            status, headers = self._start["status"], self._start.get("headers", ())
            closes = self._connection.closes_after(self)
            encoder = AnswerEncoder(self.head.method, self.head.http_version)
            head = encoder.head(status, headers, closes=closes)
            self._encoder = encoder
            self._connection.write(head + encoder.body(data, is_last=is_last))
        elif framed := encoder.body(data, is_last=is_last):
            (self._connection.write if is_last else self._connection.write_soon)(framed)
        if is_last:
            self.is_answered = True
            self._parts.clear()
            self._connection.note_answered(self)

    async def drain(self) -> None:
        """Wait until the client has read enough, or has left."""
        if not (self._connection.has_room or self.is_answered):
            await self._connection.wait_for_room()


@lru_cache(256)  # few paths come thousands of times; each is shorter than a head
def decode_path(path: bytes) -> str:
    return unquote(path.decode("ascii"))


class Http1Connection(WritingConnection):
    """An HTTP/1.1 connection.

    The application answers the first of `_exchanges`. The others are pipelined requests that wait.
    `_phase` identifies the current deadline. With `_drops_input` further input is dropped.
    """

    def __init__(self, shared: SharedState, client: Address) -> None:
        super().__init__(shared, client)
        self._base_scope: dict[str, Any] = {}  # the same for all requests
        self._reader = RequestReader()
        self._exchanges: deque[Exchange] = deque()
        self._refused: Refusal | None = None
        self._drops_input = False
        self._is_paused = False
        self._phase: Hashable = None
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._base_scope = {
            "type": "http",
            "asgi": ASGI_VERSION,
            "scheme": "https" if self.is_encrypted else "http",
            "root_path": "",
            "client": self.client,
            "server": self.server,
        }
        self._enter_phase()

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._leave()
        if self._timer:
            self._timer.cancel()

    def eof_received(self) -> bool:
        """Treat a client that closes its side as one that has left; asyncio closes ours."""
        self._leave()
        return False

    def pause_writing(self) -> None:
        super().pause_writing()
        for exchange in self._exchanges:
            exchange.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        for exchange in self._exchanges:
            exchange.resume()

    def _leave(self) -> None:
        for exchange in self._exchanges:
            exchange.drop()

    def stop(self) -> None:
        if not self._exchanges:
            self.close()

    # Input.

    def data_received(self, data: bytes) -> None:
        for event in () if self._drops_input else self._reader.feed(data):
            self._take(event)
            if self._drops_input:
                return
        if len(self._exchanges) > 1:
            self._bound_pipeline()
        self._enter_phase()

    def _take(self, event: RequestEvent) -> None:
        if isinstance(event, Head):
            self._exchanges.append(Exchange(self, event))
            if len(self._exchanges) == 1:
                self._begin()
        elif isinstance(event, bytes):
            self._exchanges[-1].add_body(event)
            # With complete requests the socket is read on, to notice a client that leaves.
            if len(self._exchanges) == 1 and self._exchanges[0].is_full and not self._is_paused:
                self._is_paused = True
                self.transport.pause_reading()
        elif isinstance(event, Refusal):
            self._refuse(event)
        else:
            assert event is EndOfBody
            self._exchanges[-1].complete()
            self._advance()

    def _begin(self) -> None:
        """Hand the first request to the application."""
        exchange = self._exchanges[0]
        head = exchange.head
        path, _, query = head.target.partition(b"?")
        scope = {
            **self._base_scope,
            "http_version": head.http_version,
            "method": head.method,
            "path": decode_path(path),
            "raw_path": path,
            "query_string": query,
            "headers": head.headers,
            "state": dict(self.shared.state),
            "extensions": {WRITER_EXTENSION: {"writer": exchange}},
        }
        exchange.task = self.loop.create_task(exchange.run(self.shared.app, scope))

    def resume_reading_body(self) -> None:
        if self._is_paused and not self.is_lost:
            self._is_paused = False
            self.transport.resume_reading()

    def _bound_pipeline(self) -> None:
        """Drop pipelined requests above a limit; the connection closes after the first answer."""
        waiting = list(self._exchanges)[1:]
        size = sum(exchange.unread_bytes for exchange in waiting)
        if len(waiting) > MAX_PIPELINED_REQUESTS or size > MAX_PIPELINED_BYTES:
            self._drops_input = True
            for _ in waiting:
                self._exchanges.pop()

    # Answers.

    def closes_after(self, exchange: Exchange) -> bool:
        """Tell whether the connection is closed after the answer to this request."""
        if not exchange.head.keeps_alive or self.shared.is_ending:
            return True
        is_last = self._drops_input and exchange is self._exchanges[-1]
        return is_last and self._refused is None

    def note_answered(self, exchange: Exchange) -> None:
        """Start the next request if this one is complete."""
        self.resume_reading_body()
        if exchange.is_complete:
            self._advance()
        elif self.closes_after(exchange):
            self._end()
        self._enter_phase()

    def note_ended(self, exchange: Exchange) -> None:
        """Close the connection if the application did not complete its answer."""
        if exchange.is_answered or self.is_lost:
            return
        if exchange.has_begun:
            self.close()
        elif exchange.is_dropped:
            self._write_refusal()
        else:
            self._refused = INTERNAL_ERROR
            self._write_refusal()

    def _advance(self) -> None:
        if not self._exchanges[0].is_answered:
            return
        closes = self.closes_after(self._exchanges[0])
        self._exchanges.popleft()
        if closes:
            self._drops_input = True
            self.close()
        elif self._exchanges:
            self._begin()
        elif self._refused:
            self._write_refusal()

    def _refuse(self, refused: Refusal) -> None:
        """Stop reading, and send the refusal after the answers to earlier requests."""
        self._drops_input = True
        self._refused = refused
        if not self._exchanges:
            self._write_refusal()
        elif not self._exchanges[-1].is_complete:
            self._exchanges[-1].drop()
            self.resume_reading_body()
            if self._exchanges[-1].is_answered:
                self._write_refusal()

    def _write_refusal(self) -> None:
        if self._refused:
            status, message = self._refused
            self.write(
                encode_refusal(status, message, ERROR_CODES.get(status, "ValidationException"))
            )
        self._end()

    def _end(self) -> None:
        """Close the connection, and drop further input."""
        self._drops_input = True
        self._set_deadline(None)
        self.linger()

    # Deadlines.

    def _enter_phase(self) -> None:
        """Set the deadline that applies to what the connection waits for."""
        if self.is_lingering:
            return
        last = self._exchanges[-1] if self._exchanges else None
        limits = self.shared.limits
        phase: Hashable
        if self._reader.is_in_head and not self._drops_input:
            phase, seconds = ("head", self._reader.heads), limits.head
        elif last and not last.is_complete:
            phase, seconds = last, limits.body + BODY_MARGIN_SECONDS
        elif last:
            phase, seconds = "answer", None
        else:
            phase, seconds = ("idle", self._reader.heads), limits.idle
        if phase != self._phase:
            self._phase = phase
            self._set_deadline(seconds)

    def _set_deadline(self, seconds: float | None) -> None:
        self._deadline = None if seconds is None else self.loop.time() + seconds
        if self._deadline is None or self.is_lost:
            return
        if self._timer and self._timer.when() > self._deadline:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self.loop.call_at(self._deadline, self._check_deadline)

    def _check_deadline(self) -> None:
        """Restart the timer if the deadline was moved; otherwise close or refuse."""
        self._timer = None
        if self._deadline is None:
            return
        if self.loop.time() < self._deadline:
            self._timer = self.loop.call_at(self._deadline, self._check_deadline)
        elif not self._exchanges and not self._reader.is_in_head:
            self.close()
        elif self._exchanges and self._exchanges[-1].is_answered:
            self._end()  # the rest of its body is not needed
        else:
            self._refuse(REQUEST_TIMEOUT)
