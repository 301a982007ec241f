"""An asyncio HTTP/2 client with many calls on one connection, each of which may be reset."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.events
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError

from tests.reliability.answers import Answer


class Http2:
    """A connection with prior knowledge. `ask` may be called concurrently."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url)
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._answers: dict[int, tuple[Answer, asyncio.Event, asyncio.Event]] = {}
        self._room = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(
            self._address.hostname, self._address.port
        )
        self._h2.initiate_connection()
        self._flush()
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._reading

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        *,
        leaves: bool = False,
        is_half: bool = False,
    ) -> Answer:
        """Send a request and read its answer; if it `leaves`, reset it at the first data.

        If it `is_half`, reset it before its last byte.
        """
        raw = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        answer, first, end = Answer(), asyncio.Event(), asyncio.Event()
        named = [(":method", method), (":path", path), (":scheme", "http")]
        named += [(":authority", self._address.netloc), ("content-length", str(len(raw)))]
        named += [(name.lower(), value) for name, value in (headers or {}).items()]
        stream = self._h2.get_next_available_stream_id()
        try:
            self._h2.send_headers(stream, named, end_stream=not raw)
        except ProtocolError:  # the service has sent a GOAWAY
            return answer
        if self._reading.done():
            return answer
        self._answers[stream] = answer, first, end
        self._flush()
        await self._send_body(stream, raw, is_half=is_half)
        if not is_half:
            await (first if leaves else end).wait()
        if (leaves or is_half) and not end.is_set():
            with suppress(ProtocolError):
                self._h2.reset_stream(stream, ErrorCodes.CANCEL)
            self._flush()
        del self._answers[stream]
        return answer

    async def _send_body(self, stream: int, raw: bytes, *, is_half: bool) -> None:
        raw = raw[:-1] if is_half else raw
        try:
            while raw:
                room = self._h2.local_flow_control_window(stream)
                size = min(room, self._h2.max_outbound_frame_size, len(raw))
                if not size:
                    self._room.clear()
                    await self._room.wait()
                    continue
                self._h2.send_data(stream, raw[:size], end_stream=size == len(raw) and not is_half)
                raw = raw[size:]
                self._flush()
        except ProtocolError:  # it was answered or reset before its end
            return

    def _flush(self) -> None:
        if not self._writer.is_closing():
            self._writer.write(self._h2.data_to_send())

    async def _read(self) -> None:
        try:
            while data := await self._reader.read(65_536):
                for event in self._h2.receive_data(data):
                    self._take(event)
                self._flush()
        except (OSError, ProtocolError):
            pass
        finally:
            self._room.set()
            for _, first, end in self._answers.values():
                first.set()
                end.set()

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.WindowUpdated | h2.events.RemoteSettingsChanged):
            self._room.set()
        if isinstance(event, h2.events.DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        known = self._answers.get(getattr(event, "stream_id", 0) or 0)
        if known is None:
            return
        answer, first, end = known
        if isinstance(event, h2.events.ResponseReceived):
            answer.headers = {str(name): str(value) for name, value in event.headers}
            answer.status = int(answer.headers[":status"])
        elif isinstance(event, h2.events.DataReceived):
            answer.body += event.data
            first.set()
        elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
            answer.is_whole = isinstance(event, h2.events.StreamEnded)
            first.set()
            end.set()
