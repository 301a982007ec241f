"""The reading half of an HTTP/2 connection, which handles an early GOAWAY and floods.

Early GOAWAY: the default handler of the AWS SDK for JS sends GOAWAY with code NO_ERROR as soon as
the response headers have come. RFC 9113, 6.8, lets the streams that are open then finish. But h2
(4.4.1; python-hyper/h2 issue 1181) marks the connection closed and drops the unsent data, and
Hypercorn (0.18) hangs up, so such a client loses the end of its answer without an error. Here h2
does not see a GOAWAY with NO_ERROR while streams are open, and the connection is closed after the
last of them: a Node process would otherwise stay until the keep-alive time is over.
`tests/transport/http2/test_goaway.py` fails when this is no longer enough, and when stock Hypercorn
no longer needs it.

Floods: each frame is charged to the budgets of its connection before h2 reads it. When a budget is
exceeded, or at a protocol error, the client gets a GOAWAY with the reason, its calls are cancelled
and its connection is closed. A stream above the limit is refused alone.
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

from invoke_api.transport.client_warnings import COMPLAINTS, Complaints
from invoke_api.transport.http2.budgets import MISTAKES, TooMuch
from invoke_api.transport.http2.frames import (
    HEAD,
    PREFACE,
    ConnectionFault,
    Frame,
    FrameReader,
    Kind,
)
from invoke_api.transport.http2.sending import SendingProtocol

TURN_SECONDS = 0.005  # that a connection's frames may keep the loop from others
# Size of the table of headers that were sent before. For each header to send, hpack searches the
# whole table, so a client that offers room for millions would slow down each answer. nghttp2 has
# the same limit.
MAX_TABLE_BYTES = 4_096


class PatientProtocol(SendingProtocol):
    """Hypercorn's HTTP/2, which completes the open streams of a client that has sent GOAWAY."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on as they come
        super().__init__(*args, **kwargs)
        self._loop = asyncio.get_running_loop()
        # With Hypercorn's limit of ten parts, an application that answers before it has read them
        # all would block the connection forever: its reader would wait for room in that queue.
        self.config = copy(self.config)
        self.config.max_app_queue_size = 0
        self.config.keep_alive_max_requests = sys.maxsize  # Hypercorn's 1,000 would cut one off
        self._reader = FrameReader()
        self._frames = 0  # that are whole
        self._blocks_from = 0  # how many there were when the last head began
        self._leaving = False

    async def initiate(
        self, headers: list[tuple[bytes, bytes]] | None = None, settings: bytes | None = None
    ) -> None:
        await super().initiate(headers, settings)
        # One stream more than announced just now: h2 would close the connection for it.
        limits = self.connection.local_settings
        limits[SettingCodes.MAX_CONCURRENT_STREAMS] = self.config.h2_max_concurrent_streams + 1
        limits.acknowledge()
        self.connection.receive_data(PREFACE)  # `FrameReader` reads the client's own

    @property
    def unfinished(self) -> int | None:
        """The number of the frame or head that is incomplete; None if there is none.

        It stays the same while the client sends the rest slowly.
        """
        if self._budgets.is_in_block:
            return self._blocks_from
        return self._frames if self._reader.is_mid_frame else None

    async def handle(self, event: ConnectionEvent) -> None:
        if isinstance(event, RawData):
            await self._read(event.data)
            return
        await super().handle(event)
        for buffer in list(self.stream_buffers.values()):
            await buffer.close()  # who waits for room in one would wait for ever

    async def _read(self, data: bytes) -> None:
        if self.closed:
            return
        try:
            until = self._loop.time() + TURN_SECONDS
            for frame in self._reader.feed(data):
                now = self._loop.time()
                if now > until:
                    await asyncio.sleep(0)
                    until = self._loop.time() + TURN_SECONDS
                if self.closed:
                    return
                await self._read_frame(frame, now)
        except ConnectionFault as fault:
            if isinstance(fault, TooMuch):
                self._complain(fault)
            await self._end(fault.code, fault.reason)
        except ProtocolError as error:
            await self._end(error.error_code, str(error))

    async def _read_frame(self, frame: Frame, now: float) -> None:
        kind = frame.kind
        self._frames += 1
        if kind != Kind.CONTINUATION:
            self._blocks_from = self._frames
        if kind != Kind.RST_STREAM or not self._has_begun(frame.stream_id):
            self._budgets.check(frame, now)
        if kind == Kind.GOAWAY and self._is_friendly(frame):
            self._leaving = True
            return
        if kind == Kind.HEADERS and self._is_over(frame.stream_id):
            self._budgets.spend(MISTAKES, now)
        await self._handle_events(self.connection.receive_data(frame.raw))

    def _has_begun(self, stream_id: int) -> bool:
        """Tell whether a stream's answer has begun.

        The request was work by then, so its reset costs nothing of a budget.
        """
        stream = self.streams.get(stream_id)
        return stream is not None and stream.state is ASGIHTTPState.RESPONSE

    def _is_friendly(self, frame: Frame) -> bool:
        """Tell whether there are open streams and this GOAWAY lets them finish."""
        if frame.stream_id or self._budgets.is_in_block:  # h2 rejects it
            return False
        code = frame.raw[HEAD.size + 4 : HEAD.size + 8]  # RFC 9113, 6.8: after the last stream
        return code == ErrorCodes.NO_ERROR.to_bytes(4) and self.connection.open_inbound_streams > 0

    def _is_over(self, stream_id: int) -> bool:
        """Tell whether a stream was open and is closed now; h2 answers its frames with a reset."""
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

    def _complain(self, fault: TooMuch) -> None:
        host = self.client[0] if self.client else "a client"
        complaints = COMPLAINTS.setdefault(self._loop, Complaints())
        complaints.add(fault.reason, host, self._loop.time())

    async def _priority_updated(self, event: PriorityUpdated) -> None:
        """Ignore PRIORITY frames, which RFC 9113, 5.3.1, deprecates."""

    async def _handle_events(self, events: list[H2Event]) -> None:
        for event in events:
            if isinstance(event, DataReceived) and event.stream_id not in self.streams:
                # The rest of a body that was answered before its end; Hypercorn stumbles over it.
                self.connection.acknowledge_received_data(
                    event.flow_controlled_length, event.stream_id
                )
            elif isinstance(event, RequestReceived) and (code := self._why_not(event)):
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
        await self._flush()  # a client that still sends waits for room in its window

    def _why_not(self, request: RequestReceived) -> ErrorCodes | None:
        """Return the code with which to refuse a stream; None for one to be served."""
        if not _is_ascii(request):
            return ErrorCodes.PROTOCOL_ERROR
        limit, connection = self.config.h2_max_concurrent_streams, self.connection
        # h2 counts its open streams one by one, so ask it only when there may be too many.
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
        # Hypercorn counts a connection as idle, and closes it in time, only when the application
        # ends a stream; after a reset it would stay for good.
        await super()._forget(stream_id)
        await self.send(Updated(idle=self.idle))
        await self._hang_up_after_the_last()

    async def stream_send(self, event: Event) -> None:
        await super().stream_send(event)
        if isinstance(event, StreamClosed):
            await self._hang_up_after_the_last()

    async def _send_data(self, stream_id: int) -> None:
        await super()._send_data(stream_id)
        await self._hang_up_after_the_last()

    async def _hang_up_after_the_last(self) -> None:
        # A stream is over for the application before its last bytes are out, or after.
        if self._leaving and not self.streams and not self.stream_buffers:
            await self.send(Closed())


def _is_ascii(request: RequestReceived) -> bool:
    """Tell whether method and path are ASCII (RFC 9113, 8.1.1). Hypercorn decodes both."""
    return all(value.isascii() for name, value in request.headers if name in (b":method", b":path"))
