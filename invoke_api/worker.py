"""One of several processes that answer on the same port, and what it says to the first process."""

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
from typing import Any

from engine.vllm_cores import CoresElsewhere, FrontEnd
from invoke_api.engines import Engines
from invoke_api.logs import set_up_logs
from invoke_api.server import BACKLOG, bind_socket
from invoke_api.serving import assemble, listen, load_models, run
from invoke_api.settings import Settings

log = logging.getLogger(__name__)

READY_LOOK = 0.2  # seconds between two looks at whether the engines of a worker are ready
# Seconds that a worker which takes another's place waits for its engines before it takes
# connections. Below Hypercorn's 60 for a start; an engine that is not ready by then may never be.
SETTLE = 30.0

REPORTS: set[asyncio.Task[None]] = set()  # of this process


@dataclass(frozen=True, slots=True)
class Listens:
    """A worker has begun."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Whether all engines of a worker take calls; said at each change."""

    is_ready: bool


@dataclass(frozen=True, slots=True)
class Met:
    """A worker is a front end of the cores of the plan with this key."""

    key: str


@dataclass(frozen=True, slots=True)
class Silent:
    """The cores of this plan owe this worker an answer; said again and again meanwhile."""

    key: str


@dataclass(frozen=True, slots=True)
class AllReady:
    """What the first process says to each worker: whether all that take connections are ready."""

    are_ready: bool


@dataclass(frozen=True, slots=True)
class News:
    """Likewise: where the cores of this plan are met, or why they are not."""

    key: str
    news: FrontEnd | str


class Line:
    """A connection on which several threads speak."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._lock = threading.Lock()

    def send(self, message: object) -> None:
        """Who has ended hears nothing."""
        with self._lock, suppress(OSError):
            self.connection.send(message)

    def hear(self) -> Any:  # noqa: ANN401 - the two sides know what they say
        """What the other side says; None when it has ended."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):  # the latter if it had not heard all that was said to it
            return None


class Others:
    """What this worker knows of the others: nothing at first, so that it is not ready alone."""

    are_ready = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which worker this is. `keys` are those of the plans whose cores the first process runs.

    One that `is_late` takes the place of another, and no connections before its engines are ready.
    """

    index: int
    keys: tuple[str, ...]
    metrics: Path
    is_late: bool


def work(settings: Settings, place: Place, connection: Connection) -> None:
    """What a worker does, until SIGTERM comes or the first process is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the first process tells us
    set_up_logs(settings.log_format)
    if place.keys or place.index or place.is_late:  # the first process tells, or the first of us
        for name in ("engine.kept", "engine.loading", "engine.vllm_engine"):
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
        settle=SETTLE if place.is_late else 0.0,
    )
    listener = listen(settings.host, settings.port, partial(bind_socket, shared=True))
    if not place.is_late:
        listener.listen(BACKLOG)
    threading.Thread(target=_hear, args=[line, cores, others], daemon=True).start()
    gc.freeze()  # as in serve_alone
    assert service.engines
    begin = partial(_begin, service.engines, line)
    asyncio.run(run(service, listener, begin, [signal.SIGTERM]))
    first = multiprocessing.parent_process()
    if first and not first.is_alive():  # so that nobody else removes it
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
    """The news of the first process, and its end."""
    while (said := line.hear()) is not None:
        if isinstance(said, AllReady):
            others.are_ready = said.are_ready
        elif isinstance(said.news, FrontEnd):
            cores[said.key].found(said.news)
        else:
            cores[said.key].lost(said.news)
    os.kill(os.getpid(), signal.SIGTERM)
