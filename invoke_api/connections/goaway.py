"""HTTP/2 for patient clients, hasty ones and attackers: the half of a connection that reads.

A client that says goodbye before it has read the answer, as the AWS SDK for JS does: its default
handler sends GOAWAY with code NO_ERROR as soon as the response headers have come. RFC 9113, 6.8,
lets the streams that are open then finish. But h2 (4.4.1; python-hyper/h2 issue 1181) marks the
connection closed and drops what waits to be sent, and Hypercorn (0.18) hangs up, so such a client
loses the end of its answer without an error. Here h2 does not see a GOAWAY with NO_ERROR while
streams are open, and the connection is closed after the last of them: a Node process would
otherwise stay until the keep-alive time is over. `tests/connections/test_goaway.py` fails when
this is no longer enough, and when stock Hypercorn no longer needs it.

A client that floods: each frame is weighed against the budgets of its connection before h2 reads
it. Past a budget, or at a mistake, the client gets a GOAWAY that says so, its calls are cancelled
and its connection is closed. One stream too many is refused alone.
"""

import asyncio
from contextlib import suppress
from copy import copy
from typing import Any

from h2.connection import ConnectionState as H2State
from h2.errors import ErrorCodes
from h2.events import DataReceived, PriorityUpdated, RequestReceived, StreamReset
from h2.events import Event as H2Event
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes
from hypercorn.events import Closed, RawData, Updated
from hypercorn.events import Event as ConnectionEvent
from hypercorn.protocol.events import Event, Request, StreamClosed
from hypercorn.protocol.h2 import StreamBuffer
from hypercorn.protocol.http_stream import ASGIHTTPState, HTTPStream
from hypercorn.utils import filter_pseudo_headers
from hyperframe.exceptions import HyperframeError

from invoke_api.connections.complaints import COMPLAINTS, Complaints
from invoke_api.connections.http2_budgets import MISTAKES, TooMuch
from invoke_api.connections.http2_frames import (
    HEAD,
    PREFACE,
    ConnectionFault,
    Frame,
    FrameReader,
    Kind,
)
from invoke_api.connections.http2_sending import SendingProtocol

TURN_SECONDS = 0.005  # that a connection's frames may keep the loop from others
LINGER_SECONDS = 1.0  # for a client to read its GOAWAY: closing at once could take it away again


class PatientProtocol(SendingProtocol):
    """Hypercorn's HTTP/2, which serves a client that has said goodbye to the end."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on as they come
        super().__init__(*args, **kwargs)
        self._loop = asyncio.get_running_loop()
        # With Hypercorn's bound of ten parts, an application that answers before it has read them
        # all would stop the connection for good: its reader would wait for room in that queue.
        self.config = copy(self.config)
        self.config.max_app_queue_size = 0
        self._reader = FrameReader()
        self._leaving = False
        self._gone = asyncio.Event()

    async def initiate(
        self, headers: list[tuple[bytes, bytes]] | None = None, settings: bytes | None = None
    ) -> None:
        try:
            await super().initiate(headers, settings)
        except (ProtocolError, HyperframeError, ValueError):  # as h2 reads HTTP2-Settings
            await self._end(ErrorCodes.PROTOCOL_ERROR, "invalid HTTP2-Settings")
            return
        # One more than was announced just now: h2 would end the connection for it.
        limits = self.connection.local_settings
        limits[SettingCodes.MAX_CONCURRENT_STREAMS] = self.config.h2_max_concurrent_streams + 1
        limits.acknowledge()
        self.connection.receive_data(PREFACE)  # the client's is read by our reader

    async def handle(self, event: ConnectionEvent) -> None:
        if isinstance(event, RawData):
            await self._read(event.data)
            return
        if self.closed:
            self._gone.set()
        await super().handle(event)
        for buffer in list(self.stream_buffers.values()):
            await buffer.close()  # who waits for room in one would wait for ever

    async def _read(self, data: bytes) -> None:
        if self.closed:
            return
        try:
            until = self._loop.time() + TURN_SECONDS
            for frame in self._reader.feed(data):
                await self._read_frame(frame)
                if self.closed:
                    return
                if self._loop.time() > until:
                    await asyncio.sleep(0)
                    until = self._loop.time() + TURN_SECONDS
        except ConnectionFault as fault:
            if isinstance(fault, TooMuch):
                self._complain(fault)
            await self._end(fault.code, fault.reason)
        except ProtocolError as error:
            await self._end(error.error_code, str(error))

    async def _read_frame(self, frame: Frame) -> None:
        if not self._is_free(frame):
            self._budgets.check(frame, self._loop.time())
        if self._is_goodbye(frame):
            self._leaving = True
            return
        if self._is_late(frame):
            self._budgets.spend(MISTAKES, self._loop.time())
        await self._handle_events(self.connection.receive_data(frame.raw))

    def _is_free(self, frame: Frame) -> bool:
        """Whether it gives up an answer that has begun: by then the request was worth its cost."""
        if frame.kind != Kind.RST_STREAM:
            return False
        stream = self.streams.get(frame.stream_id)
        return stream is not None and stream.state is ASGIHTTPState.RESPONSE

    def _is_goodbye(self, frame: Frame) -> bool:
        if frame.kind != Kind.GOAWAY or frame.stream_id or self._budgets.is_in_block:
            return False
        code = frame.raw[HEAD.size + 4 : HEAD.size + 8]  # RFC 9113, 6.8: after the last stream
        return code == ErrorCodes.NO_ERROR.to_bytes(4) and self.connection.open_inbound_streams > 0

    def _is_late(self, frame: Frame) -> bool:
        """Whether it is a head for a stream that is over, which h2 answers with a reset."""
        if frame.kind != Kind.HEADERS:
            return False
        if frame.stream_id > self.connection.highest_inbound_stream_id:
            return False
        stream = self.connection.streams.get(frame.stream_id)
        return stream is None or stream.closed

    async def _end(self, code: ErrorCodes, reason: str) -> None:
        """Cancel all calls, and say why."""
        await self.handle(Closed())
        if self.connection.state_machine.state is not H2State.CLOSED:  # else h2 has said it
            self.connection.close_connection(code, reason.encode())
        await self._flush()
        self.task_group.spawn(self._linger)

    async def _linger(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                await self._gone.wait()
        await self.send(Closed())

    def _complain(self, fault: TooMuch) -> None:
        host = self.client[0] if self.client else "a client"
        complaints = COMPLAINTS.setdefault(self._loop, Complaints())
        complaints.add(fault.reason, host, self._loop.time())

    async def _priority_updated(self, event: PriorityUpdated) -> None:
        """RFC 9113, 5.3.1, has done away with these frames."""

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
            if isinstance(event, StreamReset):
                if not event.remote_reset:
                    self._budgets.spend(MISTAKES, self._loop.time())
                await self._forget(event.stream_id)
        await self._flush()  # a client that still sends waits for room in its window

    def _why_not(self, request: RequestReceived) -> ErrorCodes | None:
        """Return the code with which to refuse a stream; None for one to be served."""
        if not _is_ascii(request):
            return ErrorCodes.PROTOCOL_ERROR
        limit, connection = self.config.h2_max_concurrent_streams, self.connection
        # h2 counts one by one, so it is asked only where there may be too many.
        if len(connection.streams) > limit and connection.open_inbound_streams > limit:
            return ErrorCodes.REFUSED_STREAM
        return None

    async def _create_stream(self, request: RequestReceived) -> None:
        """As Hypercorn does, but that CONNECT opens no WebSocket: it goes where GET goes."""
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
    """Tell whether method and path are: RFC 9113, 8.1.1, and Hypercorn decodes both."""
    return all(value.isascii() for name, value in request.headers if name in (b":method", b":path"))
