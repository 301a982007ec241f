"""HTTP/2 clients that say goodbye before they have read the answer, as the AWS SDK for JS does.

Its default handler sends GOAWAY with code NO_ERROR as soon as the response headers have come.
RFC 9113, 6.8, lets the streams that are open then finish. But h2 (4.4.1; python-hyper/h2 issue
1181) marks the connection closed and drops what waits to be sent, and Hypercorn (0.18) hangs up,
so such a client loses the end of its answer without an error. Here a GOAWAY with NO_ERROR leaves
the open streams alone, and the connection is closed after the last of them: a Node process would
otherwise stay until the keep-alive time is over. `tests/connections/test_goaway.py` fails when this
is no longer enough, and when stock Hypercorn no longer needs it.
"""

import asyncio
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any

from h2.errors import ErrorCodes
from h2.events import DataReceived, PriorityUpdated, RequestReceived, StreamReset
from h2.events import Event as H2Event
from h2.exceptions import ProtocolError
from hypercorn.events import Closed, Updated
from hypercorn.events import Event as ConnectionEvent
from hypercorn.protocol.events import Body, EndBody, Event, StreamClosed
from hypercorn.protocol.h2 import BUFFER_HIGH_WATER, H2Protocol
from hyperframe.frame import GoAwayFrame
from priority.priority import PriorityTree

from invoke_api.connections.stalling import watched


class PatientProtocol(H2Protocol):
    """Hypercorn's HTTP/2, which serves a client that has said goodbye to the end."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on as they come
        super().__init__(*args, **kwargs)
        # One too many would end the connection, and one that is over stays here for a moment.
        self.priority = PriorityTree(maximum_streams=4 * self.config.h2_max_concurrent_streams)
        self._leaving = False
        self._receive_goaway = self.connection._frame_dispatch_table[GoAwayFrame]  # noqa: SLF001
        self.connection._frame_dispatch_table[GoAwayFrame] = self._note_goaway  # noqa: SLF001 - h2 has no hook

    async def handle(self, event: ConnectionEvent) -> None:
        await super().handle(event)
        if isinstance(event, Closed):
            for buffer in list(self.stream_buffers.values()):
                await buffer.close()  # who waits for room in one would wait for ever

    async def _priority_updated(self, event: PriorityUpdated) -> None:
        """RFC 9113, 5.3.1, has done away with these frames; each names a stream to remember."""

    async def _handle_events(self, events: list[H2Event]) -> None:
        for event in events:
            if isinstance(event, DataReceived) and event.stream_id not in self.streams:
                # The rest of a body that was answered before its end; Hypercorn stumbles over it.
                self.connection.acknowledge_received_data(
                    event.flow_controlled_length, event.stream_id
                )
            elif isinstance(event, RequestReceived) and not _is_ascii(event):
                # RFC 9113, 8.1.1: malformed, which h2 lets pass and Hypercorn stumbles over.
                self.connection.reset_stream(event.stream_id, ErrorCodes.PROTOCOL_ERROR)
            else:
                await super()._handle_events([event])
            if isinstance(event, StreamReset):
                await self._forget(event.stream_id)
        await self._flush()  # a client that still sends waits for room in its window

    async def _forget(self, stream_id: int) -> None:
        # Hypercorn counts a connection as idle, and closes it in time, only when the application
        # ends a stream; after a reset it would stay for good.
        if stream_id in self.stream_buffers:
            await self.stream_buffers[stream_id].close()
            await self._window_updated(stream_id)
        await self.send(Updated(idle=self.idle))
        await self._hang_up_after_the_last()

    async def stream_send(self, event: Event) -> None:
        if isinstance(event, StreamClosed):
            await self._reset_unfinished(event.stream_id)
        if self._must_wait(event):
            with self._watched(event.stream_id):
                await super().stream_send(event)
        else:
            await super().stream_send(event)
        if isinstance(event, StreamClosed):
            await self._hang_up_after_the_last()

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
        try:
            window: int = self.connection.local_flow_control_window(stream_id)
        except ProtocolError:  # the stream is closed, and Hypercorn forgets it
            return False
        return buffer is not None and bool(buffer.buffer) and window <= 0

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

    async def _reset_unfinished(self, stream_id: int) -> None:
        # The application gave up in the middle; Hypercorn would leave the client waiting.
        buffer = self.stream_buffers.get(stream_id)
        if self.closed or buffer is None or buffer._complete:  # noqa: SLF001 - `complete` is another thing
            return
        with self._watched(stream_id):
            await buffer.drain()
        with suppress(ProtocolError, KeyError):
            self.connection.reset_stream(stream_id, ErrorCodes.INTERNAL_ERROR)
            await self._flush()
            await self.stream_buffers.pop(stream_id).close()
            self.priority.remove_stream(stream_id)

    async def _send_data(self, stream_id: int) -> None:
        if self._has_no_room(stream_id):
            # Hypercorn would take nothing from the buffer, and take that for room in it: however
            # slowly a client reads, the whole answer would pile up here.
            self.priority.block(stream_id)
            return
        await super()._send_data(stream_id)
        await self._hang_up_after_the_last()

    async def _hang_up_after_the_last(self) -> None:
        # A stream is over for the application before its last bytes are out, or after.
        if self._leaving and not self.streams and not self.stream_buffers:
            await self.send(Closed())

    def _note_goaway(self, frame: GoAwayFrame) -> Any:  # noqa: ANN401 - h2's frames and events
        if frame.error_code == ErrorCodes.NO_ERROR and self.connection.open_inbound_streams:
            self._leaving = True
            return [], []
        return self._receive_goaway(frame)


def _is_ascii(request: RequestReceived) -> bool:
    return all(value.isascii() for name, value in request.headers if name == b":path")
