"""The writing side of a connection: batched writes, and back-pressure from a slow client.

Bytes that may wait are written together at the end of an iteration of the event loop. Otherwise a
server with a hundred streams would wake a reader on the same machine a hundred times. With few
connections, waiting costs more than it saves, and bytes are written at once.
"""

import asyncio
import fcntl
import socket
import sys
import termios
from contextlib import suppress
from weakref import WeakKeyDictionary

from invoke_api.transport.limits import LINGER_SECONDS
from invoke_api.transport.shared_state import Address, SharedState
from invoke_api.transport.slow_readers import StallTimer

MAX_HELD_BYTES = 65_536  # of a connection, until the end of the iteration
# Up to this many open connections, nothing is held. Measured: with one stream, holding takes 14 µs
# of CPU more a token, with two to four some 2 µs, with eight nothing.
FEW_CONNECTIONS = 4


class Outbox:
    """The connections of a loop that have bytes to write at the end of its iteration."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._connections: list[WritingConnection] = []

    def add(self, connection: "WritingConnection") -> None:
        if not self._connections:
            self._loop.call_soon(self._write_all)
        self._connections.append(connection)

    def _write_all(self) -> None:
        connections, self._connections = self._connections, []
        for connection in connections:
            connection.write_held()


OUTBOXES: WeakKeyDictionary[asyncio.AbstractEventLoop, Outbox] = WeakKeyDictionary()


class WritingConnection(asyncio.Protocol):
    """The writing part of a connection. Base class for both versions of HTTP.

    `is_lost` is true once the client has left or was disconnected. `is_lingering` is true after the
    last answer, while the client may still be reading it.
    """

    transport: asyncio.Transport

    def __init__(self, shared: SharedState, client: Address) -> None:
        self.shared = shared
        self.client = client
        self.loop = loop = shared.loop
        self.is_lost = False
        self.is_lingering = False
        self._outbox = OUTBOXES.setdefault(loop, Outbox(loop))
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._is_closing = False
        self._room = asyncio.Event()  # clear while the client must read before more is written
        self._room.set()
        self._stall_timer: StallTimer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport), "a stream has such a transport"
        self.transport = transport
        self.shared.open.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self.is_lost = True
        self._held.clear()
        self.resume_writing()
        self.shared.open.discard(self)
        self.shared.uncount(self.client[0])

    def stop(self) -> None:
        """Close once nothing is in flight."""
        self.close()

    @property
    def server(self) -> Address:
        """Return the address that the client has connected to."""
        host, port = self.transport.get_extra_info("sockname")[:2]
        return host, port

    @property
    def is_encrypted(self) -> bool:
        return self.transport.get_extra_info("sslcontext") is not None

    def pause_writing(self) -> None:
        self._room.clear()
        self._start_stall_timer()

    def resume_writing(self) -> None:
        self._room.set()
        if self._stall_timer and not self._is_closing:
            self._stall_timer.stop()
            self._stall_timer = None

    @property
    def has_room(self) -> bool:
        """Tell whether more may be written without waiting."""
        return self._room.is_set()

    async def wait_for_room(self) -> None:
        """Return once the client has read enough, or has left."""
        await self._room.wait()

    def write(self, data: bytes) -> None:
        """Write at once, after the held bytes."""
        if self._held:
            self._held.append(data)
            self.write_held()
        elif self._takes_writes():
            self.transport.write(data)

    def write_soon(self, data: bytes) -> None:
        """Write at the end of the loop's iteration, or earlier if too much is held.

        Write at once if there are few connections.
        """
        if len(self.shared.open) <= FEW_CONNECTIONS:
            self.write(data)
            return
        if not self._held:
            self._outbox.add(self)
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > MAX_HELD_BYTES:
            self.write_held()

    def write_held(self) -> None:
        """Write the held bytes, or drop them if the client has left."""
        if not self._held:
            return
        data = b"".join(self._held)
        self._held.clear()
        self._held_bytes = 0
        if self._takes_writes():
            self.transport.write(data)

    def _takes_writes(self) -> bool:
        return not (self.is_lost or self.is_lingering or self.transport.is_closing())

    def close(self) -> None:
        """Close the connection once its client has read all bytes written.

        Abort the connection if the client reads nothing for `STALL_SECONDS`.
        """
        if self._is_closing or self.is_lost:
            return
        self.write_held()
        self._is_closing = True
        if self.transport.get_write_buffer_size():
            self._start_stall_timer()
        self.transport.close()

    def linger(self) -> None:
        """Close so that the client can read the answer: unread input would reset the connection.

        Subclasses drop the rest of the input. The connection ends when the client closes its side,
        or after `LINGER_SECONDS`.
        """
        if self._is_closing or self.is_lost or self.is_lingering:
            return
        self.write_held()
        self.is_lingering = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.loop.call_later(LINGER_SECONDS, self.close)
        else:
            self.close()

    def abort(self) -> None:
        """Close the connection at once, and drop unwritten bytes."""
        self.transport.abort()

    def unread_bytes(self) -> int | None:
        """Return how many bytes the client has yet to read, with those in the kernel's buffer.

        Return None once the connection is closed.
        """
        if self.is_lost:
            return None
        size: int = self.transport.get_write_buffer_size()
        return size + unacknowledged_bytes(self.transport.get_extra_info("socket"))

    def _start_stall_timer(self) -> None:
        if self._stall_timer is None:
            self._stall_timer = StallTimer(self.loop, self.unread_bytes, self.abort)


def unacknowledged_bytes(connection: socket.socket) -> int:
    """Return how many bytes the other side has not acknowledged; 0 if the system does not say.

    asyncio notices free space in the kernel's buffer only when a third of it, a megabyte or more,
    is free.
    """
    size = bytearray(4)
    with suppress(OSError, ValueError):  # not Linux, or the socket is closed
        fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, size)
    return int.from_bytes(size, sys.byteorder)
