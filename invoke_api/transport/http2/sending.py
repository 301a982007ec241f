"""The sending half of an HTTP/2 connection: fair scheduling, within flow-control windows."""

import asyncio
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any

from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from hypercorn.protocol.events import Body, EndBody, Event, StreamClosed
from hypercorn.protocol.h2 import BUFFER_HIGH_WATER, H2Protocol

from invoke_api.transport.http2.budgets import Budgets
from invoke_api.transport.http2.scheduler import RoundRobin
from invoke_api.transport.slow_readers import stall_timer

MAX_TURN_BYTES = 16_384  # that a stream sends before the next one


class SendingProtocol(H2Protocol):
    """Hypercorn's HTTP/2 protocol with fair scheduling and small buffers."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on as they come
        super().__init__(*args, **kwargs)
        self.priority: Any = RoundRobin()  # mypy: Hypercorn has a tree here
        self._budgets = Budgets()

    async def stream_send(self, event: Event) -> None:
        if isinstance(event, StreamClosed):
            await self._reset_unfinished(event.stream_id)
        if self._must_wait(event):
            with self._stall_timer(event.stream_id):
                await super().stream_send(event)
        else:
            await super().stream_send(event)

    def _stall_timer(self, stream_id: int) -> AbstractContextManager[None]:
        return stall_timer(
            asyncio.get_running_loop(),
            partial(self._waiting_bytes, stream_id),
            partial(self.task_group.spawn, self._give_up, stream_id),
        )

    def _waiting_bytes(self, stream_id: int) -> int | None:
        """Return how many bytes of a stream wait for its window; None if the window is open.

        `WritingConnection` has its own timer for the bytes in the socket.
        """
        return len(self.stream_buffers[stream_id].buffer) if self._is_blocked(stream_id) else None

    def _is_blocked(self, stream_id: int) -> bool:
        """Tell whether a stream has data to send and its window is closed."""
        buffer = self.stream_buffers.get(stream_id)
        return buffer is not None and bool(buffer.buffer) and self._window(stream_id) == 0

    def _window(self, stream_id: int) -> int | None:
        """Return the flow-control window of a stream in bytes; None when the stream is closed."""
        try:
            return max(0, self.connection.local_flow_control_window(stream_id))
        except ProtocolError:
            return None

    def _must_wait(self, event: Event) -> bool:
        """Tell whether an event waits until the client has opened the window for buffered data."""
        buffer = self.stream_buffers.get(event.stream_id)
        if buffer is None:
            return False
        if isinstance(event, Body):
            return len(buffer.buffer) + len(event.data) >= BUFFER_HIGH_WATER
        return isinstance(event, EndBody)

    async def _give_up(self, stream_id: int) -> None:
        """Reset a stream and close it as if the client had reset it."""
        with suppress(ProtocolError):
            self.connection.reset_stream(stream_id, ErrorCodes.CANCEL)
            await self._flush()
        await self._close_stream(stream_id)
        await self._forget(stream_id)

    async def _forget(self, stream_id: int) -> None:
        """Clean up after a stream reset."""
        await self._drop_buffer(stream_id)

    async def _drop_buffer(self, stream_id: int) -> None:
        """Drop the unsent data of a stream, and wake the task that waits to send more."""
        self.priority.remove_stream(stream_id)
        if buffer := self.stream_buffers.pop(stream_id, None):
            await buffer.close()

    async def _reset_unfinished(self, stream_id: int) -> None:
        # The application did not complete its answer; Hypercorn would leave the client waiting.
        buffer = self.stream_buffers.get(stream_id)
        if self.closed or buffer is None or buffer._complete:  # noqa: SLF001 - `complete` also needs an empty buffer
            return
        if buffer.buffer:  # on an empty buffer, Hypercorn's `drain` would wait forever
            with self._stall_timer(stream_id):
                await buffer.drain()
        if stream_id in self.stream_buffers:
            with suppress(ProtocolError):
                self.connection.reset_stream(stream_id, ErrorCodes.INTERNAL_ERROR)
                await self._flush()
            await self._drop_buffer(stream_id)

    async def _window_updated(self, stream_id: int | None) -> None:
        """Unblock this stream if it has data, or for 0 and None every stream that has data."""
        for each in [stream_id] if stream_id else list(self.stream_buffers):
            if (buffer := self.stream_buffers.get(each)) and buffer.buffer:
                self.priority.unblock(each)
        await self.has_data.set()

    async def _send_data(self, stream_id: int) -> None:
        """Send at most `MAX_TURN_BYTES` of a stream, within its window."""
        buffer, room = self.stream_buffers.get(stream_id), self._window(stream_id)
        if buffer is None or room is None:  # the stream was closed
            await self._drop_buffer(stream_id)
            return
        try:
            if buffer.buffer and room:
                size = min(room, self.connection.max_outbound_frame_size, MAX_TURN_BYTES)
                data = await buffer.pop(size)
                is_over = buffer.complete
                self.connection.send_data(stream_id, data, end_stream=is_over)
                self._budgets.data += 1
                await self._flush()
            elif is_over := buffer.complete:
                self.connection.end_stream(stream_id)
                await self._flush()
            if is_over:
                self._budgets.answers += 1
                await self._drop_buffer(stream_id)
            elif not buffer.buffer or not self._window(stream_id):
                self.priority.block(stream_id)
        except ProtocolError:  # the stream was closed meanwhile
            await self._drop_buffer(stream_id)
