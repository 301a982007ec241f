"""A new connection: choice of the HTTP version, and refusal above the limit of connections."""

import asyncio
import ssl

from invoke_api.transport.http1 import Http1Connection
from invoke_api.transport.http1_encoder import encode_refusal
from invoke_api.transport.http2.connection import Http2Connection
from invoke_api.transport.http2.frames import PREFACE
from invoke_api.transport.limits import LINGER_SECONDS
from invoke_api.transport.shared_state import Address, SharedState
from invoke_api.transport.write_buffer import WritingConnection

TOO_MANY_CONNECTIONS = encode_refusal(
    503,
    "Too many connections are open; close some, or raise --max-connections.",
    "ServiceUnavailableException",
)


class NewConnection(asyncio.Protocol):
    """A connection until ALPN or its first bytes determine the version of HTTP."""

    def __init__(self, shared: SharedState, client: Address) -> None:
        self._shared = shared
        self._client = client
        self._data = b""

    def note_accepted(self) -> None:
        self._shared.count(self._client[0])

    def note_closed(self) -> None:
        self._shared.uncount(self._client[0])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport), "a stream has such a transport"
        self._transport = transport
        self._timer = self._shared.loop.call_later(self._shared.limits.idle, self.stop)
        self._shared.open.add(self)
        encryption: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        if encryption and encryption.selected_alpn_protocol() == "h2":
            self._go_on_as(Http2Connection(self._shared, self._client))

    def connection_lost(self, _: Exception | None) -> None:
        self._timer.cancel()
        self._shared.open.discard(self)
        self.note_closed()

    def stop(self) -> None:
        """Close the connection: no request is in flight."""
        self._transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._data += data
        if self._data.startswith(PREFACE):
            self._go_on_as(Http2Connection(self._shared, self._client))
        elif not PREFACE.startswith(self._data):
            self._go_on_as(Http1Connection(self._shared, self._client))

    def _go_on_as(self, connection: WritingConnection) -> None:
        self._timer.cancel()
        self._shared.open.discard(self)
        self._transport.set_protocol(connection)
        connection.connection_made(self._transport)
        if self._data:
            connection.data_received(self._data)


class RefusedConnection(asyncio.Protocol):
    """A connection above the limit. It gets a 503 and is closed once its client has read that."""

    def __init__(self, shared: SharedState, _: Address) -> None:
        self._shared = shared

    def note_accepted(self) -> None:
        self._shared.refused += 1

    def note_closed(self) -> None:
        self._shared.refused -= 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport), "a stream has such a transport"
        transport.write(TOO_MANY_CONNECTIONS)
        if transport.can_write_eof():
            transport.write_eof()
        self._timer = self._shared.loop.call_later(LINGER_SECONDS, transport.abort)

    def connection_lost(self, _: Exception | None) -> None:
        self._timer.cancel()
        self.note_closed()
