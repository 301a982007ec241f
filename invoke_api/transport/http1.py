"""HTTP/1.1 on one connection: requests in turn to an ASGI application, answers in their order."""

import asyncio
import logging
from collections import deque
from collections.abc import Hashable, Mapping
from typing import Any, Protocol
from urllib.parse import unquote

from invoke_api.transport.http1_encoder import (
    CONTINUE,
    LAST_CHUNK,
    Framing,
    choose_framing,
    encode_chunk,
    encode_head,
    encode_refusal,
)
from invoke_api.transport.http1_parser import End, Event, Head, Refused, RequestReader
from invoke_api.transport.limits import PIPELINED_BYTES, PIPELINED_REQUESTS
from invoke_api.transport.shared_state import Address, Shared
from invoke_api.transport.write_buffer import WritingConnection
from invoke_api.transport.writer_extension import EXTENSION, Headers, Listener

log = logging.getLogger(__name__)

MAX_UNREAD_BYTES = 1_048_576  # of a body that the application has not asked for yet
LEFT = {"type": "http.disconnect"}

Message = Mapping[str, Any]


class Connection(Protocol):
    """The members of a connection that an exchange uses."""

    @property
    def has_room(self) -> bool: ...
    def write(self, data: bytes) -> None: ...
    def write_soon(self, data: bytes) -> None: ...
    async def wait_for_room(self) -> None: ...
    def note_answered(self, exchange: "Exchange") -> None: ...
    def note_ended(self, exchange: "Exchange") -> None: ...
    def go_on_reading(self) -> None: ...
    def closes_after(self, exchange: "Exchange") -> bool: ...


class Exchange:
    """One request and its answer.

    `is_complete` is true once the whole request has come. `has_begun` is true once the head of the
    answer is written, and `is_answered` once the whole answer is. `is_dropped` means that the
    client has left.
    """

    def __init__(self, connection: Connection, head: Head) -> None:
        self.head = head
        self.is_complete = False
        self.has_begun = False
        self.is_answered = False
        self.is_dropped = False
        self.unread_bytes = 0
        self.task: asyncio.Task[None] | None = None
        self._connection = connection
        self._parts: deque[bytes] = deque()
        self._is_read = False  # whether the application has read it to its end
        self._waiters: list[asyncio.Future[None]] = []
        self._start: Message | None = None
        self._listener: Listener | None = None
        self._framing = Framing.NONE
        self._left_to_write = 0  # bytes, with `Framing.LENGTH`
        self._expects_continue = head.expects_continue

    @property
    def is_full(self) -> bool:
        """Tell whether the connection must stop reading the body from the socket for now."""
        return self.unread_bytes > MAX_UNREAD_BYTES

    # From the connection.

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
        """Tell the application that the client does not read."""
        if self._listener:
            self._listener.pause()

    def resume(self) -> None:
        if self._listener:
            self._listener.resume()

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    # To the application.

    async def run(self, app: Any, scope: dict[str, Any]) -> None:  # noqa: ANN401 - any ASGI application
        """Have the application answer. Log an error that it raises."""
        try:
            await app(scope, self.receive, self.send)
        except Exception:
            log.exception("the application failed")
        finally:
            self._connection.note_ended(self)

    async def receive(self) -> Message:
        """Return the next part of the body, or a disconnect once the client has left (ASGI).

        Several tasks may wait at once: each of them gets the disconnect.
        """
        while True:
            if self.is_dropped or self.is_answered:
                return LEFT
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
            self._connection.go_on_reading()
        return {"type": "http.request", "body": body, "more_body": not self.is_complete}

    async def send(self, message: Message) -> None:
        """Write a part of the answer (ASGI). Wait while the client does not read.

        Do nothing once the client has left.
        """
        if message["type"] == "http.response.start":
            self._start = message
            return
        self.write(message.get("body", b""), is_last=not message.get("more_body", False))
        await self.drain()

    # To an application that writes without waiting: the extension `invoke_api.writer`.

    def take_body(self) -> bytes | None:
        """Return the body of the request in place of `receive`, if all of it has come."""
        if not self.is_complete or self._is_read:
            return None
        body: bytes = self._next_part()["body"]
        return body

    def listen(self, listener: Listener | None) -> None:
        """Tell this listener of the client from now on, and at once if it has left already."""
        self._listener = listener
        if listener and self.is_dropped:
            listener.leave()
        elif listener and not self._connection.has_room:
            listener.pause()

    def start(self, status: int, headers: Headers) -> None:
        self._start = {"status": status, "headers": headers}

    def write(self, data: bytes, *, is_last: bool = False) -> None:
        """Write a part of the answer. Do nothing once the client has left."""
        if self.is_dropped or self.is_answered:
            return
        assert self._start, "an answer begins with its head"
        if not self.has_begun:
            self._connection.write(self._begin(self._start) + self._frame(data, more=not is_last))
        elif framed := self._frame(data, more=not is_last):
            (self._connection.write if is_last else self._connection.write_soon)(framed)
        if is_last:
            self._end()

    async def drain(self) -> None:
        """Return once the client has read enough, or has left."""
        if not (self._connection.has_room or self.is_answered):
            await self._connection.wait_for_room()

    def _begin(self, start: Message) -> bytes:
        status: int = start["status"]
        headers: Headers = start.get("headers", ())
        framing = choose_framing(self.head.method, status, headers, self.head.http_version)
        self._framing = framing
        if framing is Framing.LENGTH:
            lengths = [int(value) for name, value in headers if name.lower() == b"content-length"]
            self._left_to_write = lengths[0]
        head = encode_head(status, headers, framing, closes=self.closes)
        self.has_begun = True
        return head

    @property
    def closes(self) -> bool:
        """Tell whether the connection ends after this answer."""
        return self._framing is Framing.CLOSE or self._connection.closes_after(self)

    def _frame(self, body: bytes, *, more: bool) -> bytes:
        if self._framing is Framing.CHUNKED:
            return encode_chunk(body) if more else encode_chunk(body) + LAST_CHUNK
        if self._framing is Framing.NONE:
            return b""
        if self._framing is Framing.LENGTH:
            self._left_to_write -= len(body)
            if self._left_to_write < 0:
                raise ValueError("the body of an answer is longer than its Content-Length")
        return body

    def _end(self) -> None:
        if self._framing is Framing.LENGTH and self._left_to_write:
            raise ValueError("the body of an answer is shorter than its Content-Length")
        self.is_answered = True
        self._parts.clear()
        self._connection.note_answered(self)


LATE = Refused(408, "The request was not received in time.")
FAILED = Refused(500, "The service failed to answer.")
CODES = {408: "RequestTimeoutException", 500: "InternalServerException"}
ASGI = {"version": "3.0", "spec_version": "2.4"}
BODY_MARGIN = 5.0  # seconds beyond the body's deadline, in which the application may say it better


class Http1Connection(WritingConnection):
    """The first of `_exchanges` is being answered, the others wait: a client may pipeline.

    `_phase` says which deadline is in force. With `_drops_input` nothing more is read as HTTP.
    """

    def __init__(self, shared: Shared, client: Address) -> None:
        super().__init__(shared, client)
        self._base_scope: dict[str, Any] = {}  # what all requests of the connection have in common
        self._reader = RequestReader()
        self._exchanges: deque[Exchange] = deque()
        self._refused: Refused | None = None
        self._drops_input = False
        self._is_paused = False
        self._phase: Hashable = None
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._base_scope = {
            "type": "http",
            "asgi": ASGI,
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
        """Take a client that closes its side for one that has left; asyncio closes ours."""
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

    # Bytes that come in.

    def data_received(self, data: bytes) -> None:
        for event in () if self._drops_input else self._reader.feed(data):
            self._take(event)
            if self._drops_input:
                return
        if len(self._exchanges) > 1:
            self._bound_pipeline()
        self._enter_phase()

    def _take(self, event: Event) -> None:
        if isinstance(event, Head):
            self._exchanges.append(Exchange(self, event))
            if len(self._exchanges) == 1:
                self._begin()
        elif isinstance(event, bytes):
            self._exchanges[-1].add_body(event)
            # With a call in flight the socket is read on: only so is it heard that a client leaves.
            if len(self._exchanges) == 1 and self._exchanges[0].is_full and not self._is_paused:
                self._is_paused = True
                self.transport.pause_reading()
        elif isinstance(event, Refused):
            self._refuse(event)
        else:
            assert event is End
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
            "path": unquote(path.decode("ascii")),
            "raw_path": path,
            "query_string": query,
            "headers": head.headers,
            "state": dict(self.shared.state),
            "extensions": {EXTENSION: {"writer": exchange}},
        }
        exchange.task = self.loop.create_task(exchange.run(self.shared.app, scope))

    def go_on_reading(self) -> None:
        if self._is_paused and not self.is_lost:
            self._is_paused = False
            self.transport.resume_reading()

    def _bound_pipeline(self) -> None:
        """Drop what comes behind too many requests; the connection closes after those before."""
        waiting = list(self._exchanges)[1:]
        size = sum(exchange.unread_bytes for exchange in waiting)
        if len(waiting) > PIPELINED_REQUESTS or size > PIPELINED_BYTES:
            self._drops_input = True
            for _ in waiting:
                self._exchanges.pop()

    # Answers.

    def closes_after(self, exchange: Exchange) -> bool:
        """Tell whether the connection ends with the answer to this one."""
        if not exchange.head.keeps_alive or self.shared.is_ending:
            return True
        is_last = self._drops_input and exchange is self._exchanges[-1]
        return is_last and self._refused is None

    def note_answered(self, exchange: Exchange) -> None:
        """Go on with the next request, if this one has come to its end."""
        self.go_on_reading()
        if exchange.is_complete:
            self._advance()
        elif exchange.closes:
            self._end()
        self._enter_phase()

    def note_ended(self, exchange: Exchange) -> None:
        """End the connection if the application has not written the end of its answer."""
        if exchange.is_answered or self.is_lost:
            return
        if exchange.has_begun:
            self.close()
        elif exchange.is_dropped:
            self._write_refusal()
        else:
            self._refused = FAILED
            self._write_refusal()

    def _advance(self) -> None:
        if not self._exchanges[0].is_answered:
            return
        closes = self._exchanges[0].closes
        self._exchanges.popleft()
        if closes:
            self._drops_input = True
            self.close()
        elif self._exchanges:
            self._begin()
        elif self._refused:
            self._write_refusal()

    def _refuse(self, refused: Refused) -> None:
        """Read no more; refuse once the requests before have their answers."""
        self._drops_input = True
        self._refused = refused
        if not self._exchanges:
            self._write_refusal()
        elif not self._exchanges[-1].is_complete:
            self._exchanges[-1].drop()
            self.go_on_reading()
            if self._exchanges[-1].is_answered:
                self._write_refusal()

    def _write_refusal(self) -> None:
        if self._refused:
            status, message = self._refused
            self.write(encode_refusal(status, message, CODES.get(status, "ValidationException")))
        self._end()

    def _end(self) -> None:
        """Close, and drop what the client still sends."""
        self._drops_input = True
        self._set_deadline(None)
        self.linger()

    # Deadlines.

    def _enter_phase(self) -> None:
        """Put the deadline in force that belongs to what the connection waits for."""
        if self.is_lingering:
            return
        last = self._exchanges[-1] if self._exchanges else None
        limits = self.shared.limits
        phase: Hashable
        if self._reader.is_in_head and not self._drops_input:
            phase, seconds = ("head", self._reader.heads), limits.head
        elif last and not last.is_complete:
            phase, seconds = last, limits.body + BODY_MARGIN
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
            self._timer = self.loop.call_at(self._deadline, self._look_at_deadline)

    def _look_at_deadline(self) -> None:
        """Wait on, if the deadline has moved since the timer was set."""
        self._timer = None
        if self._deadline is None:
            return
        if self.loop.time() < self._deadline:
            self._timer = self.loop.call_at(self._deadline, self._look_at_deadline)
        elif not self._exchanges and not self._reader.is_in_head:
            self.close()
        elif self._exchanges and self._exchanges[-1].is_answered:
            self._end()  # the rest of its body does not come, and is not needed
        else:
            self._refuse(LATE)
