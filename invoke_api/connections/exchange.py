"""One HTTP/1.1 request and its answer, as the ASGI application sees them."""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

from invoke_api.connections.extension import Headers, Listener
from invoke_api.connections.reading import Head
from invoke_api.connections.responses import (
    CONTINUE,
    LAST_CHUNK,
    Framing,
    choose_framing,
    encode_chunk,
    encode_head,
)

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
        self._framing, self._left_to_write = choose_framing(
            self.head.method, status, headers, self.head.http_version
        )
        head = encode_head(status, headers, self._framing, closes=self.closes)
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
