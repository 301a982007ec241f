"""HTTP/2 without a socket: `Http2Protocol` with a small application."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData
from hypercorn.typing import ConnectionState, LifespanState

from invoke_api.transport.http2.receiving import Http2Protocol
from tests.support.http2 import Frame, frames_of


class Wire:
    """A connection. It records the frames of the server, and whether the server has closed it."""

    def __init__(self) -> None:
        self.protocol: Http2Protocol
        self.frames: list[Frame] = []
        self.is_closed = False
        self.answered = 0  # number of streams
        self._rest = b""
        self._news = asyncio.Event()

    async def send(self, data: bytes) -> None:
        """Send data as the client."""
        await self.protocol.handle(RawData(data))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition is true. It is checked after each event."""
        async with asyncio.timeout(30):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def take(self, event: Event) -> None:
        """Handle an event of the protocol, as the server's socket does."""
        if isinstance(event, RawData):
            frames, self._rest = frames_of(self._rest + event.data)
            self.frames += frames
        self.is_closed |= isinstance(event, Closed)
        self._news.set()


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the length of the body; for `/early` before the body has arrived."""
    size, more = 0, scope["path"] != "/early"
    if scope["path"] == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        more = message["more_body"]
    if scope["path"] != "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % size})


@asynccontextmanager
async def connected(app: Any = echo, streams: int = 1_000) -> AsyncIterator[Wire]:
    """Open a connection. Its client leaves at the end, and its tasks must then end."""
    config, wire = Config(), Wire()
    config.h2_max_concurrent_streams = streams
    config.keep_alive_max_requests = sys.maxsize
    config.errorlog = logging.getLogger("hypercorn")
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(60), TaskGroup(loop) as group:
        wire.protocol = Http2Protocol(
            ASGIWrapper(app),
            config,
            WorkerContext(None),
            group,
            ConnectionState(LifespanState({})),
            False,  # noqa: FBT003 - Hypercorn's own signature
            ("127.0.0.1", 1),
            ("127.0.0.1", 2),
            wire.take,
        )
        await wire.protocol.initiate()
        yield wire
        await wire.protocol.handle(Closed())
