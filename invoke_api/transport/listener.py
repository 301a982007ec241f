"""The accept loop. It respects the limits of connections and the limit of open files."""

import asyncio
import errno
import socket
import ssl

from invoke_api.transport.client_warnings import warn
from invoke_api.transport.new_connection import NewConnection, RefusedConnection
from invoke_api.transport.shared_state import Address, SharedState

ACCEPTS_PER_ITERATION = 64  # of the event loop, so that a flood of connections does not block calls
MAX_REFUSALS = 100  # answers with 503 at once; connections beyond that are closed unanswered
OUT_OF_FILES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
ADVICE = "; raise the limit of open files or lower --max-connections"
RETRY_SECONDS = 1.0  # until accept is tried again after an error


class Acceptor:
    """An accept loop on a listening socket. It uses TLS if there is a context.

    `encryption` may be replaced; new connections use the new context.
    """

    def __init__(
        self, listening: socket.socket, shared: SharedState, encryption: ssl.SSLContext | None
    ) -> None:
        self._socket = listening
        self._shared = shared
        self._loop = shared.loop
        self.encryption = encryption
        self._openings: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._shared.on_close = self._resume
        self._loop.add_reader(self._socket, self._accept)

    def close(self) -> None:
        """Stop accepting, and close the socket."""
        if self._pause:
            self._pause.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()
        for task in self._openings:
            task.cancel()

    def _accept(self) -> None:
        for _ in range(ACCEPTS_PER_ITERATION):
            try:
                accepted, address = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause_after(error)
                return
            accepted.setblocking(False)  # noqa: FBT003 - the socket module's own signature
            self._take(accepted, (address[0], address[1]))

    def _pause_after(self, error: OSError) -> None:
        advice = ADVICE if error.errno in OUT_OF_FILES else ""
        text = f"{error.strerror}: no new connections until some are closed{advice}"
        warn(self._loop, "accept failed", text)
        self._loop.remove_reader(self._socket)
        self._pause = self._loop.call_later(RETRY_SECONDS, self._resume)

    def _resume(self) -> None:
        if self._pause:
            self._pause.cancel()
            self._pause = None
            self._loop.add_reader(self._socket, self._accept)

    def _take(self, accepted: socket.socket, client: Address) -> None:
        is_full = self._shared.is_full(client[0])
        if is_full:
            limits = self._shared.limits
            warn(
                self._loop,
                "connections refused",
                f"A connection of {client[0]} was refused: {self._shared.addresses.total():,} are"
                f" open; the limits are {limits.per_address:,} per address and"
                f" {limits.connections:,} in all",
            )
            if self._shared.refused >= MAX_REFUSALS:
                accepted.close()
                return
        kind = RefusedConnection if is_full else NewConnection
        task = self._loop.create_task(self._open(accepted, kind(self._shared, client)))
        self._openings.add(task)
        task.add_done_callback(self._openings.discard)

    async def _open(
        self, accepted: socket.socket, connection: NewConnection | RefusedConnection
    ) -> None:
        connection.note_accepted()
        try:
            await self._loop.connect_accepted_socket(
                lambda: connection,
                accepted,
                ssl=self.encryption,
                ssl_handshake_timeout=self._shared.limits.head if self.encryption else None,
            )
        except (OSError, asyncio.CancelledError):  # ssl.SSLError and TimeoutError are OSErrors
            accepted.close()
            connection.note_closed()
