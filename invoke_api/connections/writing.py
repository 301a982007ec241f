"""Writes to connections that can take them: without a lock, without waiting, and in bursts.

Hypercorn (0.18) takes a lock around each write and asks afterwards whether to wait, which costs a
tenth of what a token does; both are for those that must wait. And whoever writes to a hundred
streams one by one wakes their reader, on this machine, a hundred times: what may wait until the end
of the loop's round goes to the sockets together.
"""

import asyncio
import fcntl
import socket
import sys
import termios
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from hypercorn.asyncio import run
from hypercorn.events import Event, RawData

from invoke_api.connections.idling import IdlingServer
from invoke_api.connections.stalling import Watch, watched

MOST_HELD = 65_536  # bytes of a connection, which are written in the midst of a round


class Piece(Event):
    """To be written at the end of the round, after what was written before it."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:  # a frozen dataclass, as RawData is, takes 1 µs more
        self.data = data


class Outbox:
    """The connections of a loop on which something is to be written at the end of this round.

    `open` are all that there are.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._servers: list[WritingServer] = []
        self.open: WeakSet[WritingServer] = WeakSet()

    def add(self, server: "WritingServer") -> None:
        if not self._servers:
            self._loop.call_soon(self._write_all)
        self._servers.append(server)

    def _write_all(self) -> None:
        servers, self._servers = self._servers, []
        for server in servers:
            server.write_held()


OUTBOXES: WeakKeyDictionary[asyncio.AbstractEventLoop, Outbox] = WeakKeyDictionary()


class WritingServer(IdlingServer):
    """The same server, which writes past the lock while nothing waits to be written."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on as they come
        super().__init__(*args, **kwargs)
        self._outbox = OUTBOXES.setdefault(self.loop, Outbox(self.loop))
        self._outbox.open.add(self)
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._is_open = True

    async def protocol_send(self, event: Event) -> None:
        if type(event) is Piece:
            if self._hold(event.data):
                return
            event = RawData(event.data)
        if isinstance(event, RawData):
            self.write_held()
            if self._is_free():
                self.writer.write(event.data)
                return
            with watched(self.loop, self.waiting, self.abort):
                await super().protocol_send(event)
            return
        await super().protocol_send(event)

    def _hold(self, data: bytes) -> bool:
        """Keep it for the end of the round; not if it must wait, or would be too much."""
        if not self._held:
            if not (self._is_open and self._is_free()):
                return False
            self._outbox.add(self)
        elif self._held_bytes > MOST_HELD:
            return False
        self._held.append(data)
        self._held_bytes += len(data)
        return True

    def write_held(self) -> None:
        if not self._held:
            return
        data = b"".join(self._held)
        self._held.clear()
        self._held_bytes = 0
        if not self.writer.transport.is_closing():  # the client has left
            self.writer.write(data)

    def abort(self) -> None:
        """Hang up, whatever is still to be written."""
        self.writer.transport.abort()

    def waiting(self) -> int:
        """Bytes that the client has yet to take, those included that the kernel holds for it."""
        transport = self.writer.transport
        size: int = transport.get_write_buffer_size()
        return size + kernel_holds(transport.get_extra_info("socket"))

    def _is_free(self) -> bool:
        transport = self.writer.transport
        return not (
            self.send_lock.locked() or transport.is_closing() or transport.get_write_buffer_size()
        )

    async def _initiate_server_close(self) -> None:
        self._hold_no_more()
        await super()._initiate_server_close()

    async def _close(self) -> None:
        self._hold_no_more()
        await super()._close()

    def _hold_no_more(self) -> None:
        """The connection is about to be closed, and what is held then would be lost."""
        if self._is_open:
            self._is_open = False
            self.write_held()
            if self.writer.transport.get_write_buffer_size():  # it stays until all is taken
                Watch(self.loop, self.waiting, self.abort)


def kernel_holds(connection: socket.socket) -> int:
    """Bytes that the other side has not acknowledged; 0 where the system does not tell.

    asyncio hears of room in the kernel's buffer when a third of it is free, a megabyte or more.
    """
    held = bytearray(4)
    with suppress(OSError, ValueError):  # not Linux, or it is closed
        fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, held)
    return int.from_bytes(held, sys.byteorder)


def hang_up() -> None:
    """Abort all connections of this loop.

    From Python 3.12.1 on, a server that is closed is waited for as long as one of them is open.
    """
    outbox = OUTBOXES.get(asyncio.get_running_loop())
    for server in list(outbox.open if outbox else ()):
        server.abort()


def install() -> None:
    """Make Hypercorn use it for every connection from now on."""
    run.TCPServer = WritingServer  # type: ignore[attr-defined]  # where Hypercorn looks
