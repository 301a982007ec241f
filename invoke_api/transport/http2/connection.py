"""HTTP/2 on one connection: Hypercorn's protocol on an asyncio transport."""

import asyncio
import logging

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.typing import ConnectionState

from invoke_api.transport.http2.receiving import Http2Protocol
from invoke_api.transport.shared_state import Address, SharedState
from invoke_api.transport.write_buffer import WritingConnection

log = logging.getLogger(__name__)

MAX_UNREAD_INPUT_BYTES = 262_144  # bytes before Hypercorn; above this the socket is not read


class Http2Connection(WritingConnection):
    """An HTTP/2 connection. One task feeds Hypercorn's protocol, which starts a task per stream."""

    def __init__(self, shared: SharedState, client: Address) -> None:
        super().__init__(shared, client)
        self._unread = bytearray()
        self._is_paused = False
        self._has_left = False
        self._has_input = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._unfinished: int | None = None
        self._frame_timer: asyncio.TimerHandle | None = None
        self._is_idle = True
        self._idle_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._task = self.loop.create_task(self._run())
        self._note_idle()

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._note_busy()
        self._limit_frame_time(None)
        self._leave()

    def eof_received(self) -> bool:
        """Treat a client that closes its side as one that has left; asyncio closes ours."""
        self._leave()
        return False

    def _leave(self) -> None:
        self._has_left = True
        self._has_input.set()

    def stop(self) -> None:
        if self._is_idle:
            self.close()

    def data_received(self, data: bytes) -> None:
        if self.is_lingering:
            return
        self._unread += data
        self._has_input.set()
        if len(self._unread) > MAX_UNREAD_INPUT_BYTES and not self._is_paused:
            self._is_paused = True
            self.transport.pause_reading()

    async def _run(self) -> None:
        try:
            async with TaskGroup(self.loop) as group:
                protocol = Http2Protocol(
                    ASGIWrapper(self.shared.app),
                    self.shared.config,
                    self.shared.context,
                    group,
                    ConnectionState(dict(self.shared.state)),
                    self.is_encrypted,
                    self.client,
                    self.server,
                    self._take,
                )
                await protocol.initiate()
                while data := await self._read():
                    await protocol.handle(RawData(data))
                    self._limit_frame_time(protocol.unfinished)
                await protocol.handle(Closed())
        except Exception:
            log.exception("an HTTP/2 connection failed")
        finally:
            self.linger()

    async def _read(self) -> bytes:
        """Wait for input and return it; return nothing once the client has left."""
        await self._has_input.wait()
        if self._has_left:
            return b""
        self._has_input.clear()
        data = bytes(self._unread)
        self._unread.clear()
        if self._is_paused:
            self._is_paused = False
            self.transport.resume_reading()
        return data

    def _limit_frame_time(self, unfinished: int | None) -> None:
        """Close the connection if a frame or head stays unfinished for `limits.head` seconds."""
        if unfinished == self._unfinished:
            return
        self._unfinished = unfinished
        if self._frame_timer:
            self._frame_timer.cancel()
            self._frame_timer = None
        if unfinished is not None and not self.is_lost:
            self._frame_timer = self.loop.call_later(self.shared.limits.head, self.close)

    async def _take(self, event: Event) -> None:
        """Handle an event of Hypercorn's protocol. Waits while the client does not read."""
        if isinstance(event, RawData):
            self.write(event.data)
            if not self.has_room:
                await self.wait_for_room()
        elif isinstance(event, Closed):
            self.linger()
        elif isinstance(event, Updated):
            if event.idle:
                self._note_idle()
            else:
                self._note_busy()

    def _note_idle(self) -> None:
        self._note_busy()
        self._is_idle = True
        if self.shared.is_ending:
            self.close()
        elif not self.is_lost:
            self._idle_timer = self.loop.call_later(self.shared.limits.idle, self.close)

    def _note_busy(self) -> None:
        self._is_idle = False
        if self._idle_timer:
            self._idle_timer.cancel()
            self._idle_timer = None
