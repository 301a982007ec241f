"""The application on a socket: HTTP/1.1 and HTTP/2 on one port, in clear text or TLS."""

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
from invoke_api.pipeline.request_body import Calls
from invoke_api.transport.limits import HEAD_BYTES, Limits
from invoke_api.transport.listener import Listener
from invoke_api.transport.shared_state import Shared

SIGNALS = (signal.SIGINT, signal.SIGTERM)
BACKLOG = 1_024  # connections that may wait to be accepted
MOST_FILES = 65_536  # as many as vLLM's own server asks for
LIMITS = Limits()
Opening = Callable[[asyncio.Event], Awaitable[None]]  # gets what says that the service is to stop
FAREWELL_SECONDS = 1.0  # for calls that are told that the service ends, and again for hanging up


def allow_many_connections() -> None:
    """Raise the limit of open files, 1,024 as a rule: a connection is one, and so is a call's
    to a remote server. The hard limit stays, and so does the soft one where the system minds.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # macOS has a lower one than it tells
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def open_socket(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes any free one. Raises `OSError`."""
    listener = bind_socket(host, port)
    listener.listen(BACKLOG)
    return listener


def bind_socket(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """The same, and it does not listen yet. Processes may have `shared` ones on the same port:
    the kernel gives each new connection to one of those that listen.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio sets TCP_NODELAY only on sockets that say they are TCP;
    # without it a token waits up to 40 ms for the acknowledgement of the one before.
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
    """What is left once the service is told to stop, in seconds.

    For `delay` it answers all as before but says that it is not ready; then nobody can connect any
    more, and calls under way get `calls`.
    """

    delay: float = 0.0
    calls: float = 10.0


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM."""

    certificate: Path
    key: Path

    def to_context(self) -> ssl.SSLContext:
        """Return what a server needs. Raise `OSError` unless the files go together."""
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
    calls: Calls,
    tls: Tls | None = None,
    *,
    grace: Grace = Grace(),
    limits: Limits = LIMITS,
    opening: Opening | None = None,
) -> None:
    """Answer on this socket until `stop` is set, and then as `grace` has it.

    `opening` is awaited before the first connection is accepted, once the engines have begun to
    load; without it the socket must listen already.
    """
    async with app.router.lifespan_context(app) as state:
        shared = Shared(
            app=app,
            loop=asyncio.get_running_loop(),
            limits=limits,
            state=state or {},
            config=_config(),
            context=WorkerContext(None),
        )
        if opening:
            await opening(stop)
        listener = Listener(listening, shared, tls.to_context() if tls else None)
        listening.listen(BACKLOG)  # a worker that replaces another does so only now
        listener.start()
        try:
            await stop.wait()
            calls.are_last = True
            await asyncio.sleep(grace.delay)
        finally:
            listener.close()
            await _end(shared, calls, grace)


async def _end(shared: Shared, calls: Calls, grace: Grace) -> None:
    if await shared.stop(grace.calls):
        return
    calls.end()
    if not await shared.wait_closed(FAREWELL_SECONDS):
        shared.abort()
        await shared.wait_closed(FAREWELL_SECONDS)


def _config() -> Config:
    """Hypercorn's settings, which HTTP/2 goes by."""
    config = Config()
    config.include_date_header = False  # ours stands first, as on Bedrock
    config.include_server_header = False
    config.errorlog = logging.getLogger("hypercorn")
    config.loglevel = "WARNING"
    config.keep_alive_max_requests = sys.maxsize  # Hypercorn's 1,000 would cut the next one off
    config.h2_max_concurrent_streams = 1_000
    config.h2_max_header_list_size = HEAD_BYTES
    return config


def stop_signal(signals: Sequence[signal.Signals] = SIGNALS) -> asyncio.Event:
    """An event that these set; a second of them ends the process at once."""
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
    """End this process as the signal would, and its children: vLLM's would keep their memory."""
    for child in multiprocessing.active_children():
        child.kill()
    remove_folder()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
