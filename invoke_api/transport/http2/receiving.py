"""The receiving half of an HTTP/2 connection, with support for early GOAWAY and flood limits.

Early GOAWAY: the default handler of the AWS SDK for JS sends GOAWAY with code NO_ERROR as soon as
it has the response headers. RFC 9113, 6.8, lets the open streams finish. But h2
(4.4.1; python-hyper/h2 issue 1181) marks the connection closed and drops the unsent data, and
Hypercorn (0.18) hangs up, so such a client loses the end of its answer without an error. So a
GOAWAY with NO_ERROR is not passed to h2 while streams are open, and the connection is closed after
the last of them. Otherwise a Node process would stay until the keep-alive time is over.
`tests/transport/http2/test_goaway.py` fails when this no longer works, and when plain Hypercorn no
longer needs it.

Floods: each frame is charged to the budgets of its connection before h2 reads it. When a budget is
exceeded, and at a protocol error, the client gets a GOAWAY with the reason, its calls are cancelled
and its connection is closed. For a stream above the limit only that stream is refused.
"""

import asyncio
import sys
from copy import copy
from typing import Any

from h2.connection import ConnectionState as H2State
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    PriorityUpdated,
    RemoteSettingsChanged,
    RequestReceived,
    StreamReset,
)
from h2.events import Event as H2Event
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes
from hypercorn.events import Closed, RawData, Updated
from hypercorn.events import Event as ConnectionEvent
from hypercorn.protocol.events import Event, Request, StreamClosed
from hypercorn.protocol.h2 import StreamBuffer
from hypercorn.protocol.http_stream import ASGIHTTPState, HTTPStream
from hypercorn.utils import filter_pseudo_headers

from invoke_api.transport.client_warnings import warn
from invoke_api.transport.http2.budgets import MISTAKES, BudgetExceeded
from invoke_api.transport.http2.frames import (
    FRAME_HEADER,
    PREFACE,
    ConnectionFault,
    FrameKind,
    Http2Frame,
    Http2FrameReader,
)
from invoke_api.transport.http2.sending import SendingProtocol

MAX_TURN_SECONDS = 0.005  # that one connection's frames may occupy the event loop
# Size of the table of sent headers. For each header hpack searches the whole table, so a client
# that asks for a large table would slow down each answer. nghttp2 has the same limit.
MAX_TABLE_BYTES = 4_096


class Http2Protocol(SendingProtocol):
    """Hypercorn's HTTP/2 protocol with support for early GOAWAY and with flood limits."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on as they come
        super().__init__(*args, **kwargs)
        self._loop = asyncio.get_running_loop()
        # With Hypercorn's limit of ten parts, an application that answers before it has read all
        # parts would block the connection forever: its reader would wait for space in that queue.
        self.config = copy(self.config)
        self.config.max_app_queue_size = 0
        self.config.keep_alive_max_requests = sys.maxsize  # Hypercorn's 1,000 breaks a call off
        self._reader = Http2FrameReader()
        self._frames = 0  # the number of whole frames
        self._block_start = 0  # `_frames` when the last head began
        self._got_goaway = False

    async def initiate(
        self, headers: list[tuple[bytes, bytes]] | None = None, settings: bytes | None = None
    ) -> None:
        await super().initiate(headers, settings)
        # One more than announced: h2 closes the connection at the first stream above its limit.
        limits = self.connection.local_settings
        limits[SettingCodes.MAX_CONCURRENT_STREAMS] = self.config.h2_max_concurrent_streams + 1
        limits.acknowledge()
        self.connection.receive_data(PREFACE)  # `Http2FrameReader` reads the client's own

    @property
    def unfinished(self) -> int | None:
        """Return the number of the incomplete frame or head; None if there is none.

        The number stays the same while the client sends the rest slowly.
        """
        if self._budgets.is_in_block:
            return self._block_start
        return self._frames if self._reader.is_mid_frame else None

    async def handle(self, event: ConnectionEvent) -> None:
        if isinstance(event, RawData):
            await self._read(event.data)
            return
        await super().handle(event)
        for buffer in list(self.stream_buffers.values()):
            await buffer.close()  # otherwise a task that waits for space in one waits forever

    async def _read(self, data: bytes) -> None:
        if self.closed:
            return
        try:
            until = self._loop.time() + MAX_TURN_SECONDS
            for frame in self._reader.feed(data):
                now = self._loop.time()
                if now > until:
                    await asyncio.sleep(0)
                    until = self._loop.time() + MAX_TURN_SECONDS
                if self.closed:
                    return
                await self._read_frame(frame, now)
        except ConnectionFault as fault:
            if isinstance(fault, BudgetExceeded):
                self._warn(fault)
            await self._end(fault.code, fault.reason)
        except ProtocolError as error:
            await self._end(error.error_code, str(error))

    async def _read_frame(self, frame: Http2Frame, now: float) -> None:
        kind = frame.kind
        self._frames += 1
        if kind != FrameKind.CONTINUATION:
            self._block_start = self._frames
        if kind != FrameKind.RST_STREAM or not self._has_begun(frame.stream_id):
            self._budgets.check(frame, now)
        if kind == FrameKind.GOAWAY and self._is_graceful(frame):
            self._got_goaway = True
            return
        if kind == FrameKind.HEADERS and self._is_over(frame.stream_id):
            self._budgets.spend(MISTAKES, now)
        await self._handle_events(self.connection.receive_data(frame.raw))

    def _has_begun(self, stream_id: int) -> bool:
        """Tell whether a stream's answer has begun.

        A reset after that is charged to no budget.
        """
        stream = self.streams.get(stream_id)
        return stream is not None and stream.state is ASGIHTTPState.RESPONSE

    def _is_graceful(self, frame: Http2Frame) -> bool:
        """Tell whether this GOAWAY lets open streams finish."""
        if frame.stream_id or self._budgets.is_in_block:  # h2 rejects it
            return False
        # RFC 9113, 6.8: the code follows the last stream id.
        code = frame.raw[FRAME_HEADER.size + 4 : FRAME_HEADER.size + 8]
        return code == ErrorCodes.NO_ERROR.to_bytes(4) and self.connection.open_inbound_streams > 0

    def _is_over(self, stream_id: int) -> bool:
        """Tell whether a stream is closed again; h2 answers its frames with a reset."""
        if stream_id > self.connection.highest_inbound_stream_id:
            return False
        stream = self.connection.streams.get(stream_id)
        return stream is None or stream.closed

    async def _end(self, code: ErrorCodes, reason: str) -> None:
        """Cancel all calls, send a GOAWAY with the reason, and close the connection."""
        await self.handle(Closed())
        if self.connection.state_machine.state is not H2State.CLOSED:  # else h2 has sent it
            self.connection.close_connection(code, reason.encode())
        await self._flush()
        await self.send(Closed())

    def _warn(self, fault: BudgetExceeded) -> None:
        host = self.client[0] if self.client else "a client"
        text = f"Closed the HTTP/2 connection of {host}: {fault.reason}"
        warn(self._loop, fault.reason, text)

    async def _priority_updated(self, event: PriorityUpdated) -> None:
        """Ignore PRIORITY frames, which RFC 9113, 5.3.1, deprecates."""

    async def _handle_events(self, events: list[H2Event]) -> None:
        for event in events:
            if isinstance(event, DataReceived) and event.stream_id not in self.streams:
                # The rest of a body whose stream was answered already; Hypercorn would fail.
                self.connection.acknowledge_received_data(
                    event.flow_controlled_length, event.stream_id
                )
            elif isinstance(event, RequestReceived) and (code := self._refusal_code(event)):
                self._budgets.spend(MISTAKES, self._loop.time())
                self.connection.reset_stream(event.stream_id, code)
            else:
                await super()._handle_events([event])
            if isinstance(event, RemoteSettingsChanged):
                encoder = self.connection.encoder
                encoder.header_table_size = min(encoder.header_table_size, MAX_TABLE_BYTES)
            elif isinstance(event, StreamReset):
                if not event.remote_reset:
                    self._budgets.spend(MISTAKES, self._loop.time())
                await self._forget(event.stream_id)
        await self._flush()  # with window updates, for which a sending client waits

    def _refusal_code(self, request: RequestReceived) -> ErrorCodes | None:
        """Return the code with which to refuse a stream, or None."""
        if not _is_ascii(request):
            return ErrorCodes.PROTOCOL_ERROR
        limit, connection = self.config.h2_max_concurrent_streams, self.connection
        # h2 counts its open streams one by one, so ask only when there may be too many.
        if len(connection.streams) > limit and connection.open_inbound_streams > limit:
            return ErrorCodes.REFUSED_STREAM
        return None

    async def _create_stream(self, request: RequestReceived) -> None:
        """Create a stream as Hypercorn does, but handle CONNECT like GET: it opens no WebSocket."""
        pseudo = {name: value for name, value in request.headers if name.startswith(b":")}
        stream_id = request.stream_id
        stream = self.streams[stream_id] = HTTPStream(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            stream_id,
        )
        self.stream_buffers[stream_id] = StreamBuffer(self.context.event_class)
        self.priority.insert_stream(stream_id)
        await stream.handle(
            Request(
                stream_id=stream_id,
                headers=filter_pseudo_headers(request.headers),
                http_version="2",
                method=pseudo[b":method"].decode("ascii").upper(),
                raw_path=pseudo.get(b":path", b"/"),  # CONNECT has none: RFC 9113, 8.5
                state=self.connection_state,
            )
        )
        self.keep_alive_requests += 1
        await self.context.mark_request()

    async def _forget(self, stream_id: int) -> None:
        # Hypercorn notices an idle connection only when the application ends a stream. After a
        # reset the connection would stay open forever.
        await super()._forget(stream_id)
        await self.send(Updated(idle=self.idle))
        await self._close_after_last_stream()

    async def stream_send(self, event: Event) -> None:
        await super().stream_send(event)
        if isinstance(event, StreamClosed):
            await self._close_after_last_stream()

    async def _send_data(self, stream_id: int) -> None:
        await super()._send_data(stream_id)
        await self._close_after_last_stream()

    async def _close_after_last_stream(self) -> None:
        # The application may end a stream before or after its last bytes are sent.
        if self._got_goaway and not self.streams and not self.stream_buffers:
            await self.send(Closed())


def _is_ascii(request: RequestReceived) -> bool:
    """Tell whether method and path are ASCII (RFC 9113, 8.1.1). Hypercorn decodes both."""
    return all(value.isascii() for name, value in request.headers if name in (b":method", b":path"))
