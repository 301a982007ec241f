"""A fake server of OpenAI's `/v1/completions` on a real socket, scripted by tests."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


@dataclass
class CompletionsServer:
    """A server that answers each call by the next of its plays; the last one repeats.

    `asked` has the bodies of the calls, and `heads` their headers. `connections` counts the
    connections, and `left` the calls whose client disconnected before the end.
    """

    plays: list["Play"]
    models: list[dict[str, Any]] = field(default_factory=lambda: [{"id": "model"}])
    api_key: str | None = None
    health: int = 404
    tls: ssl.SSLContext | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    connections: int = 0
    left: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}" if self.tls else f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator["CompletionsServer"]:
        """Serve while the context is open, each time on the same port."""
        tasks: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            task = asyncio.create_task(self._serve(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        listening = await asyncio.start_server(accept, "127.0.0.1", self.port, ssl=self.tls)
        self.port = listening.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            listening.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await listening.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(
                    (line for line in head.lower().split("\r\n") if "length:" in line), ""
                )
                body = await reader.readexactly(int(length.partition(":")[2] or 0))
                await self._answer(head, body, reader, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(
        self, head: str, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        path = head.split()[1]
        if path == "/health":
            writer.write(whole(self.health, b""))
        elif self.api_key and f"bearer {self.api_key}" not in head.lower():
            writer.write(whole(401, b'{"error":"Unauthorized"}'))
        elif path == "/v1/models":
            writer.write(whole(200, json.dumps({"data": self.models}).encode()))
        else:
            assert path == "/v1/completions", path
            self.asked.append(json.loads(body))
            self.heads.append(head)
            play = self.plays.pop(0) if len(self.plays) > 1 else self.plays[0]
            playing = asyncio.ensure_future(play(writer))
            leaving = asyncio.create_task(reader.read(1))
            done, waiting = await asyncio.wait(
                {playing, leaving}, return_when=asyncio.FIRST_COMPLETED
            )
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            self.left += playing not in done


Play = Callable[[asyncio.StreamWriter], Awaitable[None]]


def whole(status: int, body: bytes) -> bytes:
    return f"HTTP/1.1 {status} Such\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(text: str = "", finish: str | None = None, **more: Any) -> bytes:
    document = {"choices": [{"index": 0, "text": text, "finish_reason": finish, **more}]}
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def say(*texts: str, finish: str | None = "stop", more: Sequence[bytes] = ()) -> Play:
    """Play a stream of these texts, each an event, then the events `more`, then its end."""

    async def play(writer: asyncio.StreamWriter) -> None:
        events = [event(text) for text in texts]
        last = [event(finish=finish)] if finish else []
        await send(writer, *events, *last, *more, b"data: [DONE]\n\n")
        writer.write(END)

    return play


async def send(writer: asyncio.StreamWriter, *events: bytes) -> None:
    writer.write(STREAM)
    for each in events:
        writer.write(chunk(each))
        await writer.drain()
        await asyncio.sleep(0)


def answer(status: int, error: dict[str, Any] | str) -> Play:
    """Play an error response."""

    async def play(writer: asyncio.StreamWriter) -> None:
        writer.write(whole(status, json.dumps({"error": error}).encode()))

    return play


def torn(*texts: str) -> Play:
    """Close the connection after these texts, or without any answer."""

    async def play(writer: asyncio.StreamWriter) -> None:
        if texts:
            await send(writer, *map(event, texts))
        writer.close()
        await writer.wait_closed()

    return play


def stuck(*texts: str) -> Play:
    """Send nothing after these texts until the client disconnects."""

    async def play(writer: asyncio.StreamWriter) -> None:
        await send(writer, *map(event, texts))
        await asyncio.Event().wait()

    return play
