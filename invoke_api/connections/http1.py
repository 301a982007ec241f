"""HTTP/1.1 on one connection: requests in turn to an ASGI application, answers in their order."""

import asyncio
from collections import deque
from collections.abc import Hashable
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from invoke_api.connections.exchange import Exchange
from invoke_api.connections.extension import EXTENSION
from invoke_api.connections.limits import PIPELINED_BYTES, PIPELINED_REQUESTS
from invoke_api.connections.reading import End, Event, Head, Refused, RequestReader
from invoke_api.connections.responses import encode_refusal
from invoke_api.connections.shared import Address, Shared
from invoke_api.connections.writing import WritingConnection

LATE = Refused(408, "The request was not received in time.")
FAILED = Refused(500, "The service failed to answer.")
CODES = {408: "RequestTimeoutException", 500: "InternalServerException"}
ASGI = {"version": "3.0", "spec_version": "2.4"}
BODY_MARGIN = 5.0  # seconds beyond the body's deadline, in which the application may say it better


@lru_cache(256)  # few paths come thousands of times; each is shorter than a head
def decode_path(path: bytes) -> str:
    return unquote(path.decode("ascii"))


class Http1Connection(WritingConnection):
    """The first of `_exchanges` is being answered, the others wait: a client may pipeline.

    `_phase` says which deadline is in force. With `_drops_input` nothing more is read as HTTP.
    """

    def __init__(self, shared: Shared, client: Address) -> None:
        super().__init__(shared, client)
        self._base_scope: dict[str, Any] = {}  # what all requests of the connection have in common
        self._reader = RequestReader()
        self._exchanges: deque[Exchange] = deque()
        self._refused: Refused | None = None
        self._drops_input = False
        self._is_paused = False
        self._phase: Hashable = None
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._base_scope = {
            "type": "http",
            "asgi": ASGI,
            "scheme": "https" if self.is_encrypted else "http",
            "root_path": "",
            "client": self.client,
            "server": self.server,
        }
        self._enter_phase()

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._leave()
        if self._timer:
            self._timer.cancel()

    def eof_received(self) -> bool:
        """Take a client that closes its side for one that has left; asyncio closes ours."""
        self._leave()
        return False

    def pause_writing(self) -> None:
        super().pause_writing()
        for exchange in self._exchanges:
            exchange.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        for exchange in self._exchanges:
            exchange.resume()

    def _leave(self) -> None:
        for exchange in self._exchanges:
            exchange.drop()

    def stop(self) -> None:
        if not self._exchanges:
            self.close()

    # Bytes that come in.

    def data_received(self, data: bytes) -> None:
        for event in () if self._drops_input else self._reader.feed(data):
            self._take(event)
            if self._drops_input:
                return
        if len(self._exchanges) > 1:
            self._bound_pipeline()
        self._enter_phase()

    def _take(self, event: Event) -> None:
        if isinstance(event, Head):
            self._exchanges.append(Exchange(self, event))
            if len(self._exchanges) == 1:
                self._begin()
        elif isinstance(event, bytes):
            self._exchanges[-1].add_body(event)
            # With a call in flight the socket is read on: only so is it heard that a client leaves.
            if len(self._exchanges) == 1 and self._exchanges[0].is_full and not self._is_paused:
                self._is_paused = True
                self.transport.pause_reading()
        elif isinstance(event, Refused):
            self._refuse(event)
        else:
            assert event is End
            self._exchanges[-1].complete()
            self._advance()

    def _begin(self) -> None:
        """Hand the first request to the application."""
        exchange = self._exchanges[0]
        head = exchange.head
        path, _, query = head.target.partition(b"?")
        scope = {
            **self._base_scope,
            "http_version": head.http_version,
            "method": head.method,
            "path": decode_path(path),
            "raw_path": path,
            "query_string": query,
            "headers": head.headers,
            "state": dict(self.shared.state),
            "extensions": {EXTENSION: {"writer": exchange}},
        }
        exchange.task = self.loop.create_task(exchange.run(self.shared.app, scope))

    def go_on_reading(self) -> None:
        if self._is_paused and not self.is_lost:
            self._is_paused = False
            self.transport.resume_reading()

    def _bound_pipeline(self) -> None:
        """Drop what comes behind too many requests; the connection closes after those before."""
        waiting = list(self._exchanges)[1:]
        size = sum(exchange.unread_bytes for exchange in waiting)
        if len(waiting) > PIPELINED_REQUESTS or size > PIPELINED_BYTES:
            self._drops_input = True
            for _ in waiting:
                self._exchanges.pop()

    # Answers.

    def closes_after(self, exchange: Exchange) -> bool:
        """Tell whether the connection ends with the answer to this one."""
        if not exchange.head.keeps_alive or self.shared.is_ending:
            return True
        is_last = self._drops_input and exchange is self._exchanges[-1]
        return is_last and self._refused is None

    def note_answered(self, exchange: Exchange) -> None:
        """Go on with the next request, if this one has come to its end."""
        self.go_on_reading()
        if exchange.is_complete:
            self._advance()
        elif exchange.closes:
            self._end()
        self._enter_phase()

    def note_ended(self, exchange: Exchange) -> None:
        """End the connection if the application has not written the end of its answer."""
        if exchange.is_answered or self.is_lost:
            return
        if exchange.has_begun:
            self.close()
        elif exchange.is_dropped:
            self._write_refusal()
        else:
            self._refused = FAILED
            self._write_refusal()

    def _advance(self) -> None:
        if not self._exchanges[0].is_answered:
            return
        closes = self._exchanges[0].closes
        self._exchanges.popleft()
        if closes:
            self._drops_input = True
            self.close()
        elif self._exchanges:
            self._begin()
        elif self._refused:
            self._write_refusal()

    def _refuse(self, refused: Refused) -> None:
        """Read no more; refuse once the requests before have their answers."""
        self._drops_input = True
        self._refused = refused
        if not self._exchanges:
            self._write_refusal()
        elif not self._exchanges[-1].is_complete:
            self._exchanges[-1].drop()
            self.go_on_reading()
            if self._exchanges[-1].is_answered:
                self._write_refusal()

    def _write_refusal(self) -> None:
        if self._refused:
            status, message = self._refused
            self.write(encode_refusal(status, message, CODES.get(status, "ValidationException")))
        self._end()

    def _end(self) -> None:
        """Close, and drop what the client still sends."""
        self._drops_input = True
        self._set_deadline(None)
        self.linger()

    # Deadlines.

    def _enter_phase(self) -> None:
        """Put the deadline in force that belongs to what the connection waits for."""
        if self.is_lingering:
            return
        last = self._exchanges[-1] if self._exchanges else None
        limits = self.shared.limits
        phase: Hashable
        if self._reader.is_in_head and not self._drops_input:
            phase, seconds = ("head", self._reader.heads), limits.head
        elif last and not last.is_complete:
            phase, seconds = last, limits.body + BODY_MARGIN
        elif last:
            phase, seconds = "answer", None
        else:
            phase, seconds = ("idle", self._reader.heads), limits.idle
        if phase != self._phase:
            self._phase = phase
            self._set_deadline(seconds)

    def _set_deadline(self, seconds: float | None) -> None:
        self._deadline = None if seconds is None else self.loop.time() + seconds
        if self._deadline is None or self.is_lost:
            return
        if self._timer and self._timer.when() > self._deadline:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self.loop.call_at(self._deadline, self._look_at_deadline)

    def _look_at_deadline(self) -> None:
        """Wait on, if the deadline has moved since the timer was set."""
        self._timer = None
        if self._deadline is None:
            return
        if self.loop.time() < self._deadline:
            self._timer = self.loop.call_at(self._deadline, self._look_at_deadline)
        elif not self._exchanges and not self._reader.is_in_head:
            self.close()
        elif self._exchanges and self._exchanges[-1].is_answered:
            self._end()  # the rest of its body does not come, and is not needed
        else:
            self._refuse(LATE)
