"""The server: HTTP/1.1 and HTTP/2 on one port, in clear text or with TLS."""

import asyncio
import logging
import multiprocessing
import os
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from starlette.applications import Starlette

from engine.vllm.leftovers import remove_folder
from invoke_api.pipeline.request_body import InFlightCalls
from invoke_api.transport.limits import MAX_HEAD_BYTES, Limits
from invoke_api.transport.listener import Acceptor
from invoke_api.transport.shared_state import SharedState

SIGNALS = (signal.SIGINT, signal.SIGTERM)
BACKLOG = 1_024  # connections that wait to be accepted
MAX_OPEN_FILES = 65_536  # as for vLLM's own server
DEFAULT_LIMITS = Limits()
BeforeAccept = Callable[[asyncio.Event], Awaitable[None]]  # gets the `stop` event
ABORT_SECONDS = 1.0  # for error messages to calls that were ended, and again for closing


def allow_many_connections() -> None:
    """Raise the soft limit of open files to `MAX_OPEN_FILES`, or to a lower hard limit.

    Each connection is an open file, also one to a remote server. An error of the system is ignored.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # macOS has a lower limit than it reports
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def open_socket(host: str, port: int) -> socket.socket:
    """Open a listening socket; port 0 takes a free one. Raises `OSError`."""
    listener = bind_socket(host, port)
    listener.listen(BACKLOG)
    return listener


def bind_socket(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Open a socket that does not listen yet. Raises `OSError`.

    Several processes can bind `shared` sockets to the same port. The kernel gives each new
    connection to one of them that listens.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only on sockets whose protocol is given as TCP. Without it a token
    # waits up to 40 ms for the acknowledgement of the one before.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)  # noqa: FBT003 - the socket module's own signature
    return listener


@dataclass(frozen=True, slots=True)
class Grace:
    """The grace period after a signal, in seconds.

    For `delay` the service answers as before but reports that it is not ready. Then it accepts no
    connections, and in-flight calls have `calls` to finish.
    """

    delay: float = 0.0
    calls: float = 10.0


@dataclass(frozen=True, slots=True)
class Tls:
    """The PEM files of a certificate and its key."""

    certificate: Path
    key: Path

    def to_context(self) -> ssl.SSLContext:
        """Return the context of a server. Raises `OSError` if the files do not match."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        context.set_alpn_protocols(["h2", "http/1.1"])
        return context


def to_url(listener: socket.socket, tls: Tls | None = None) -> str:
    scheme = "https" if tls else "http"
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


async def serve(
    app: Starlette,
    listening: socket.socket,
    stop: asyncio.Event,
    calls: InFlightCalls,
    tls: Tls | None = None,
    *,
    grace: Grace = Grace(),
    limits: Limits = DEFAULT_LIMITS,
    before_accept: BeforeAccept | None = None,
    on_accept: Callable[[Acceptor], None] | None = None,
) -> None:
    """Serve on this socket until `stop` is set and the grace period is over.

    `before_accept` is awaited after the engines have begun to load, and before the first connection
    is accepted. Without it the socket must listen already.
    `on_accept` gets the accept loop.
    """
    async with app.router.lifespan_context(app) as state:
        shared = SharedState(
            app=app,
            loop=asyncio.get_running_loop(),
            limits=limits,
            state=state or {},
            config=_config(),
            context=WorkerContext(None),
        )
        if before_accept:
            await before_accept(stop)
        acceptor = Acceptor(listening, shared, tls.to_context() if tls else None)
        listening.listen(BACKLOG)  # a replacement worker listens only now
        if on_accept:
            on_accept(acceptor)
        acceptor.start()
        try:
            await stop.wait()
            calls.are_draining = True
            await asyncio.sleep(grace.delay)
        finally:
            acceptor.close()
            await _end(shared, calls, grace)


async def _end(shared: SharedState, calls: InFlightCalls, grace: Grace) -> None:
    if await shared.stop(grace.calls):
        return
    calls.end()
    if not await shared.wait_closed(ABORT_SECONDS):
        shared.abort()
        await shared.wait_closed(ABORT_SECONDS)


def _config() -> Config:
    """Return Hypercorn's settings, for HTTP/2."""
    config = Config()
    config.include_date_header = False  # the application's comes first, as on Bedrock
    config.include_server_header = False
    config.errorlog = logging.getLogger("hypercorn")
    config.loglevel = "WARNING"
    config.keep_alive_max_requests = sys.maxsize  # after Hypercorn's 1,000 a call breaks off
    config.h2_max_concurrent_streams = 1_000
    config.h2_max_header_list_size = MAX_HEAD_BYTES
    return config


def stop_signal(signals: Sequence[signal.Signals] = SIGNALS) -> asyncio.Event:
    """Return an event that these signals set. A second signal ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def set_once() -> None:
        stop.set()
        for number in signals:
            loop.remove_signal_handler(number)
            signal.signal(number, end_at_once)

    for number in signals:
        loop.add_signal_handler(number, set_once)
    return stop


def end_at_once(number: int, _: object) -> None:
    """End this process by this signal, and kill its children: vLLM's would keep their memory."""
    for child in multiprocessing.active_children():
        child.kill()
    remove_folder()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
