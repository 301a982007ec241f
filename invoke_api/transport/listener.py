"""The accept loop: new connections, as many as the limits and the system's files allow."""

import asyncio
import errno
import logging
import socket
import ssl

from invoke_api.transport.new_connection import NewConnection, RefusedConnection
from invoke_api.transport.shared_state import Address, Shared

log = logging.getLogger(__name__)

ACCEPTS_PER_ROUND = 64  # so that a flood of connections leaves the loop time for calls
MAX_REFUSALS = 100  # connections at once that are told of the limit; those beyond just end
OUT_OF_FILES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
ADVICE = "; raise the limit of open files or lower --max-connections"
PAUSE_SECONDS = 1.0
QUIET_SECONDS = 60.0  # between two log lines about the same shortage


class Listener:
    """Accepts from one socket that listens already, with TLS if there is a context."""

    def __init__(
        self, listening: socket.socket, shared: Shared, encryption: ssl.SSLContext | None
    ) -> None:
        self._socket = listening
        self._shared = shared
        self._loop = shared.loop
        self._encryption = encryption
        self._openings: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._told: dict[str, float] = {}

    def start(self) -> None:
        self._shared.on_close = self._resume
        self._loop.add_reader(self._socket, self._accept)

    def close(self) -> None:
        """Accept no more, and close the socket."""
        if self._pause:
            self._pause.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()
        for task in self._openings:
            task.cancel()

    def _accept(self) -> None:
        for _ in range(ACCEPTS_PER_ROUND):
            try:
                accepted, address = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._wait(error)
                return
            accepted.setblocking(False)  # noqa: FBT003 - the socket module's own signature
            self._take(accepted, (address[0], address[1]))

    def _wait(self, error: OSError) -> None:
        self._tell(
            "%s: no new connections until some are closed%s",
            error.strerror,
            ADVICE if error.errno in OUT_OF_FILES else "",
        )
        self._loop.remove_reader(self._socket)
        self._pause = self._loop.call_later(PAUSE_SECONDS, self._resume)

    def _resume(self) -> None:
        if self._pause:
            self._pause.cancel()
            self._pause = None
            self._loop.add_reader(self._socket, self._accept)

    def _take(self, accepted: socket.socket, client: Address) -> None:
        is_full = self._shared.is_full(client[0])
        if is_full:
            limits = self._shared.limits
            self._tell(
                "connections are refused: %d are open, of which %s may have %d and all %d",
                self._shared.addresses.total(),
                client[0],
                limits.per_address,
                limits.connections,
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
                ssl=self._encryption,
                ssl_handshake_timeout=self._shared.limits.head if self._encryption else None,
            )
        except (OSError, asyncio.CancelledError):  # ssl.SSLError and TimeoutError are OSErrors
            accepted.close()
            connection.note_closed()

    def _tell(self, message: str, *values: object) -> None:
        """Log a shortage, once in a while."""
        now = self._loop.time()
        if now - self._told.get(message, -QUIET_SECONDS) >= QUIET_SECONDS:
            self._told[message] = now
            log.warning(message, *values)
