"""One of several worker processes on the same port, and its messages to the first process."""

import asyncio
import gc
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from shutil import rmtree
from socket import socket
from typing import Any

from engine.vllm.cores import CoresElsewhere, FrontEnd
from invoke_api.models.engine_pool import Engines
from invoke_api.observability.log_format import set_up_logs
from invoke_api.server.bootstrap import assemble, listen, load_models, run
from invoke_api.server.http_server import BACKLOG, bind_socket
from invoke_api.server.settings import Settings

log = logging.getLogger(__name__)

READY_LOOK = 0.2  # seconds between two checks whether the engines of a worker are ready
# Seconds that a replacement worker waits for its engines before it accepts connections. An engine
# that is not ready by then may never be, for example if its server is gone.
SETTLE = 30.0

REPORTS: set[asyncio.Task[None]] = set()  # of this process


@dataclass(frozen=True, slots=True)
class Listens:
    """Message of a worker: it has started."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Message of a worker at each change: whether all its engines accept calls."""

    is_ready: bool


@dataclass(frozen=True, slots=True)
class Met:
    """Message of a worker: it is a front end of the cores of the plan with this key."""

    key: str


@dataclass(frozen=True, slots=True)
class Silent:
    """Message of a worker, repeated: the cores of this plan owe it an answer."""

    key: str


@dataclass(frozen=True, slots=True)
class AllReady:
    """Message to each worker: whether all workers that accept connections are ready."""

    are_ready: bool


@dataclass(frozen=True, slots=True)
class News:
    """Message to a worker: where to connect to the cores of this plan, or why they failed."""

    key: str
    news: FrontEnd | str


class Line:
    """A connection on which several threads may send."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._lock = threading.Lock()

    def send(self, message: object) -> None:
        """Send a message; drop it if the other process has ended."""
        with self._lock, suppress(OSError):
            self.connection.send(message)

    def hear(self) -> Any:  # noqa: ANN401 - the two sides know what they say
        """Return the next message of the other process; None when it has ended."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):  # OSError if it ended with unread messages
            return None


class Others:
    """State of the other workers. Not ready at first, so that this worker waits for them."""

    are_ready = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Identity of a worker. `keys` are the keys of the plans whose cores the first process runs.

    A worker that `is_late` replaces another, and accepts no connections before its engines are
    ready.
    """

    index: int
    keys: tuple[str, ...]
    metrics: Path
    is_late: bool


def work(settings: Settings, place: Place, connection: Connection) -> None:
    """Run a worker until SIGTERM arrives or the first process ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; we get SIGTERM
    set_up_logs(settings.log_format)
    if place.keys or place.index or place.is_late:  # another process logs this
        for name in (
            "engine.lifecycle.supervised",
            "engine.lifecycle.loading",
            "engine.vllm.engine",
        ):
            logging.getLogger(name).setLevel(logging.WARNING)
    line, others = Line(connection), Others()
    cores = {key: _cores_elsewhere(line, key, place.index, settings.workers) for key in place.keys}
    registry = load_models(settings.registry, settings.model)
    service = assemble(
        settings,
        registry,
        cores,
        place.metrics,
        others_ready=lambda: others.are_ready,
    )
    listener = listen(settings.host, settings.port, partial(bind_socket, shared=True))
    if not place.is_late:
        listener.listen(BACKLOG)
    threading.Thread(target=_hear, args=[line, cores, others], daemon=True).start()
    gc.freeze()  # as in serve_alone
    assert service.engines
    begin = partial(_begin, service.engines, line)
    opening = partial(_open_late, service.engines, listener) if place.is_late else None
    asyncio.run(run(service, listener, begin, [signal.SIGTERM], opening))
    first = multiprocessing.parent_process()
    if first and not first.is_alive():  # then no other process removes it
        rmtree(place.metrics, ignore_errors=True)


def _cores_elsewhere(line: Line, key: str, index: int, count: int) -> CoresElsewhere:
    return CoresElsewhere(
        index,
        count,
        partial(line.send, Met(key)),
        _end_this_worker,
        partial(line.send, Silent(key)),
    )


def _begin(engines: Engines, line: Line) -> None:
    line.send(Listens())
    task = asyncio.create_task(_report(engines, line))
    REPORTS.add(task)  # asyncio itself holds tasks weakly


async def _open_late(engines: Engines, listener: socket, stop: asyncio.Event) -> None:
    """Listen once the models are ready, so that clients do not notice the replacement."""
    await engines.settle(SETTLE, stop.is_set)
    listener.listen(BACKLOG)


async def _report(engines: Engines, line: Line) -> None:
    is_ready = False
    while True:
        if engines.take_calls() != is_ready:
            is_ready = not is_ready
            line.send(Ready(is_ready))
        await asyncio.sleep(READY_LOOK)


def _end_this_worker() -> None:
    log.error("this worker has lost vLLM's cores and can't have them back, so it ends")
    os.kill(os.getpid(), signal.SIGTERM)


def _hear(line: Line, cores: Mapping[str, CoresElsewhere], others: Others) -> None:
    """Handle messages of the first process; end this worker when that process ends."""
    while (said := line.hear()) is not None:
        if isinstance(said, AllReady):
            others.are_ready = said.are_ready
        elif isinstance(said.news, FrontEnd):
            cores[said.key].found(said.news)
        else:
            cores[said.key].lost(said.news)
    os.kill(os.getpid(), signal.SIGTERM)
