"""The half of an HTTP/2 connection that sends: streams in turn, as far as the client gives room."""

import asyncio
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any

from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from hypercorn.protocol.events import Body, EndBody, Event, StreamClosed
from hypercorn.protocol.h2 import BUFFER_HIGH_WATER, H2Protocol

from invoke_api.connections.http2_budgets import Budgets
from invoke_api.connections.round_robin import RoundRobin
from invoke_api.connections.stalling import watched

MAX_TURN = 16_384  # bytes that a stream sends before the next one has its turn


class SendingProtocol(H2Protocol):
    """Hypercorn's HTTP/2, which shares the connection fairly and buffers no more than it must."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on as they come
        super().__init__(*args, **kwargs)
        self.priority: Any = RoundRobin()  # mypy: Hypercorn has a tree here
        self._budgets = Budgets()

    async def stream_send(self, event: Event) -> None:
        if isinstance(event, StreamClosed):
            await self._reset_unfinished(event.stream_id)
        if self._must_wait(event):
            with self._watched(event.stream_id):
                await super().stream_send(event)
        else:
            await super().stream_send(event)

    def _watched(self, stream_id: int) -> AbstractContextManager[None]:
        return watched(
            asyncio.get_running_loop(),
            partial(self._waiting, stream_id),
            partial(self.task_group.spawn, self._give_up, stream_id),
        )

    def _waiting(self, stream_id: int) -> int | None:
        """Bytes of a stream for which its client gives no room; in the socket it is another's."""
        return len(self.stream_buffers[stream_id].buffer) if self._has_no_room(stream_id) else None

    def _has_no_room(self, stream_id: int) -> bool:
        """Whether the client takes nothing of what waits to be sent."""
        buffer = self.stream_buffers.get(stream_id)
        return buffer is not None and bool(buffer.buffer) and self._room(stream_id) == 0

    def _room(self, stream_id: int) -> int | None:
        """Return how many bytes the client takes now; None when the stream is closed."""
        try:
            return max(0, self.connection.local_flow_control_window(stream_id))
        except ProtocolError:
            return None

    def _must_wait(self, event: Event) -> bool:
        """Until the client has made room for what waits to be sent."""
        buffer = self.stream_buffers.get(event.stream_id)
        if buffer is None:
            return False
        if isinstance(event, Body):
            return len(buffer.buffer) + len(event.data) >= BUFFER_HIGH_WATER
        return isinstance(event, EndBody)

    async def _give_up(self, stream_id: int) -> None:
        """Do as if the client had."""
        with suppress(ProtocolError):
            self.connection.reset_stream(stream_id, ErrorCodes.CANCEL)
            await self._flush()
        await self._close_stream(stream_id)
        await self._forget(stream_id)

    async def _forget(self, stream_id: int) -> None:
        """Do what is to be done after a reset."""
        await self._drop_buffer(stream_id)

    async def _drop_buffer(self, stream_id: int) -> None:
        """Drop what a stream has yet to send; whoever waits to send more of it waits no longer."""
        self.priority.remove_stream(stream_id)
        if buffer := self.stream_buffers.pop(stream_id, None):
            await buffer.close()

    async def _reset_unfinished(self, stream_id: int) -> None:
        # The application gave up in the middle; Hypercorn would leave the client waiting.
        buffer = self.stream_buffers.get(stream_id)
        if self.closed or buffer is None or buffer._complete:  # noqa: SLF001 - `complete` is another thing
            return
        with self._watched(stream_id):
            await buffer.drain()
        if stream_id in self.stream_buffers:
            with suppress(ProtocolError):
                self.connection.reset_stream(stream_id, ErrorCodes.INTERNAL_ERROR)
                await self._flush()
            await self._drop_buffer(stream_id)

    async def _window_updated(self, stream_id: int | None) -> None:
        """Wake the streams that can send now: this one, or for 0 and None all that have data."""
        for each in [stream_id] if stream_id else list(self.stream_buffers):
            if (buffer := self.stream_buffers.get(each)) and buffer.buffer:
                self.priority.unblock(each)
        await self.has_data.set()

    async def _send_data(self, stream_id: int) -> None:
        """Give a stream its turn."""
        buffer, room = self.stream_buffers.get(stream_id), self._room(stream_id)
        if buffer is None or room is None:  # the stream was closed
            await self._drop_buffer(stream_id)
            return
        try:
            if buffer.buffer and room:
                size = min(room, self.connection.max_outbound_frame_size, MAX_TURN)
                self.connection.send_data(stream_id, await buffer.pop(size))
                self._budgets.data += 1
                await self._flush()
            if buffer.complete:
                self.connection.end_stream(stream_id)
                self._budgets.answers += 1
                await self._flush()
                await self._drop_buffer(stream_id)
            elif not buffer.buffer or not self._room(stream_id):
                self.priority.block(stream_id)
        except ProtocolError:  # it was closed meanwhile
            await self._drop_buffer(stream_id)
