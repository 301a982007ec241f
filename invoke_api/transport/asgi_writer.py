"""Writers of answers: the server's own, or one that uses ASGI's `send`.

A server with the extension `invoke_api.writer` writes at once and reports a disconnect at once. For
any other ASGI server `AsgiWriter` does the same, with two tasks for each stream.
docs/architecture.md specifies the extension for other servers.
"""

import asyncio
from collections import deque
from contextlib import suppress

from starlette.types import Message, Receive, Scope, Send

from invoke_api.transport.writer_extension import WRITER_EXTENSION, ClientListener, Headers, Writer

MAX_QUEUED_BYTES = 65_536  # bytes that wait for `send`; above this the answer pauses


class AsgiWriter:
    """A writer that sends with ASGI's `send` and detects a disconnect with `receive`.

    Each runs in a task once there is a listener; read the body of the request before. `finish`
    sends the rest of an answer. Always call `close` in the end.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._listener: ClientListener | None = None
        self._messages: deque[Message] = deque()
        self._queued_bytes = 0
        self._is_complete = False  # the end of the answer is queued, or nothing more will be
        self._sends_last = False  # the server has received the end of the answer
        self._has_left = False
        self._has_news = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._watching: asyncio.Task[None] | None = None
        self._pumping: asyncio.Task[None] | None = None

    def take_body(self) -> bytes | None:
        return None

    def listen(self, listener: ClientListener | None) -> None:
        self._listener = listener
        if not listener:
            return
        if self._has_left:
            listener.leave()
            return
        if not self._has_room.is_set():
            listener.pause()
        if not self._watching:
            self._watching = asyncio.create_task(self._watch())
        if self._messages:
            self._begin_pumping()

    def start(self, status: int, headers: Headers) -> None:
        self._add({"type": "http.response.start", "status": status, "headers": headers})

    def write(self, data: bytes, *, is_last: bool = False) -> None:
        self._add({"type": "http.response.body", "body": data, "more_body": not is_last})
        self._is_complete |= is_last
        if self._queued_bytes > MAX_QUEUED_BYTES and self._has_room.is_set():
            self._has_room.clear()
            if self._listener:
                self._listener.pause()

    async def drain(self) -> None:
        if not self._has_room.is_set():
            self._begin_pumping()
            await self._has_room.wait()

    async def finish(self) -> None:
        """Send the rest, unless the client leaves meanwhile.

        Raises the errors of `send`, except `OSError`.
        """
        self._is_complete = True
        self._has_news.set()
        if self._pumping:
            # A cancelled task could leave half a message behind.
            await asyncio.wait([self._pumping])
            if not self._pumping.cancelled() and (error := self._pumping.exception()):
                raise error
        else:
            await self._send_all()

    def close(self) -> None:
        """End both tasks and send nothing more."""
        self._is_complete = True
        self._drop_queue()
        for task in (self._watching, self._pumping):
            if task and not task.cancel() and not task.cancelled():
                task.exception()  # otherwise asyncio logs that it was never retrieved

    def _add(self, message: Message) -> None:
        if self._has_left or self._is_complete:
            return
        self._messages.append(message)
        self._queued_bytes += len(message.get("body", b""))
        self._has_news.set()
        if self._listener:
            self._begin_pumping()

    def _drop_queue(self) -> None:
        self._messages.clear()
        self._queued_bytes = 0
        self._has_room.set()

    def _leave(self) -> None:
        """Drop unsent data, and tell the listener that the client has left."""
        # A server also sends `http.disconnect` once it has the whole answer.
        if self._has_left or self._sends_last:
            return
        self._has_left = True
        self._drop_queue()
        if self._pumping:  # `send` may be waiting for this client
            self._pumping.cancel()
        if self._listener:
            self._listener.leave()

    async def _watch(self) -> None:
        with suppress(Exception):  # a server that raises here has lost its client
            while (await self._receive())["type"] != "http.disconnect":
                pass
        self._leave()

    def _begin_pumping(self) -> None:
        if not (self._pumping or self._has_left):
            self._pumping = asyncio.create_task(self._pump())

    async def _pump(self) -> None:
        while not (self._has_left or (self._is_complete and not self._messages)):
            await self._has_news.wait()
            await self._send_all()

    async def _send_all(self) -> None:
        self._has_news.clear()
        try:
            while self._messages:
                message = self._messages.popleft()
                self._queued_bytes -= len(message.get("body", b""))
                self._sends_last = not message.get("more_body", True)
                await self._send(message)
        except OSError:  # ASGI 2.4: the client has left
            self._leave()
        except Exception:  # the server rejects the answer, which is a bug
            self._leave()
            raise
        finally:
            if not self._has_room.is_set():
                self._has_room.set()
                if self._listener:
                    self._listener.resume()


def open_writer(scope: Scope, receive: Receive, send: Send) -> tuple[Writer, AsgiWriter | None]:
    """Return the writer of this answer.

    The second value is the same writer if the caller must finish and close it, else None.
    """
    offered: dict[str, Writer] | None = scope.get("extensions", {}).get(WRITER_EXTENSION)
    if offered:
        return offered["writer"], None
    writer = AsgiWriter(receive, send)
    return writer, writer
