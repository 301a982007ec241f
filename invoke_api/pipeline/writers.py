"""How an answer reaches its client: by a writer of the server, or by ASGI's `send`.

A server that offers the extension `invoke_api.writer` writes at once and says at once that a client
has left. Any other ASGI server does the same through `AsgiWriter`, with two tasks a stream.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from starlette.types import Message, Receive, Scope, Send

EXTENSION = "invoke_api.writer"
MAX_QUEUED_BYTES = 65_536  # that wait for `send`, above which the answer pauses

Headers = Sequence[tuple[bytes, bytes]]


class Listener(Protocol):
    """Hears what becomes of the client. No method raises."""

    def leave(self) -> None:
        """Learn that the client has left."""
        ...

    def pause(self) -> None:
        """Learn that the client does not read: nothing should be written until `resume`."""
        ...

    def resume(self) -> None: ...


class Writer(Protocol):
    """Writes one answer. It drops what is written for a client that has left."""

    def take_body(self) -> bytes | None:
        """Return the body of the request in place of `receive`, if all of it has come."""
        ...

    def listen(self, listener: Listener | None) -> None:
        """Tell this listener of the client from now on, and at once if it has left already."""
        ...

    def start(self, status: int, headers: Headers) -> None: ...

    def write(self, data: bytes, *, is_last: bool = False) -> None: ...

    async def drain(self) -> None:
        """Return once the client has read enough, or has left."""
        ...


class AsgiWriter:
    """Writes by ASGI's `send`, and hears by `receive`.

    The body of the request must have been read before anybody listens.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._listener: Listener | None = None
        self._messages: deque[Message] = deque()
        self._queued_bytes = 0
        self._has_left = False
        self._has_news = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._tasks: list[asyncio.Task[None]] = []

    def take_body(self) -> bytes | None:
        return None

    def listen(self, listener: Listener | None) -> None:
        self._listener = listener
        if listener and self._has_left:
            listener.leave()
        elif listener and not self._tasks:
            self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._pump())]

    def start(self, status: int, headers: Headers) -> None:
        self._add({"type": "http.response.start", "status": status, "headers": headers})

    def write(self, data: bytes, *, is_last: bool = False) -> None:
        self._queued_bytes += len(data)
        self._add({"type": "http.response.body", "body": data, "more_body": not is_last})
        if self._queued_bytes > MAX_QUEUED_BYTES and self._has_room.is_set():
            self._has_room.clear()
            if self._listener:
                self._listener.pause()

    async def drain(self) -> None:
        await self._has_room.wait()

    async def close(self) -> None:
        """Send what is left, unless the client has left."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        if not self._has_left:
            await self._send_all()

    def _add(self, message: Message) -> None:
        self._messages.append(message)
        self._has_news.set()

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._has_left = True
        self._has_room.set()
        if self._listener:
            self._listener.leave()

    async def _pump(self) -> None:
        while True:
            await self._has_news.wait()
            await self._send_all()

    async def _send_all(self) -> None:
        self._has_news.clear()
        while self._messages:
            message = self._messages.popleft()
            self._queued_bytes -= len(message.get("body", b""))
            await self._send(message)
        if not self._has_room.is_set():
            self._has_room.set()
            if self._listener:
                self._listener.resume()


def open_writer(scope: Scope, receive: Receive, send: Send) -> tuple[Writer, AsgiWriter | None]:
    """Return the server's writer, or one that is to be closed when the answer is complete."""
    offered: dict[str, Writer] | None = scope.get("extensions", {}).get(EXTENSION)
    if offered:
        return offered["writer"], None
    writer = AsgiWriter(receive, send)
    return writer, writer
