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

from engine.vllm.cores import FrontEnd, SharedCores
from invoke_api.models.engine_pool import Engines
from invoke_api.observability.log_format import set_up_logs
from invoke_api.server.bootstrap import (
    assemble,
    has_reloadable_files,
    listen,
    load_models,
    run,
)
from invoke_api.server.http_server import BACKLOG, bind_socket
from invoke_api.server.settings import Settings

log = logging.getLogger(__name__)

READY_CHECK_SECONDS = 0.2  # between two checks whether the engines of a worker are ready
# A replacement worker waits so long for its engines before it accepts connections. An engine that
# is not ready by then may never be, for example because its server does not run.
MAX_SETTLE_SECONDS = 30.0

REPORTS: set[asyncio.Task[None]] = set()


@dataclass(frozen=True, slots=True)
class Started:
    """A message of a worker: it has started."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """A message of a worker at each change: whether all its engines accept calls."""

    is_ready: bool


@dataclass(frozen=True, slots=True)
class CoresConnected:
    """A message of a worker: it is connected to the cores of the plan with this key."""

    key: str


@dataclass(frozen=True, slots=True)
class CoresSilent:
    """A repeated message of a worker: the cores of this plan do not answer it."""

    key: str


@dataclass(frozen=True, slots=True)
class TeamReadiness:
    """A message to each worker: whether all workers that accept connections are ready."""

    are_ready: bool


@dataclass(frozen=True, slots=True)
class CoresNews:
    """A message to a worker: the addresses of the cores of this plan, or why they failed."""

    key: str
    news: FrontEnd | str


class MessageChannel:
    """A connection between two processes, on which several threads may send."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._lock = threading.Lock()

    def send(self, message: object) -> None:
        """Send a message; drop it if the other process has ended."""
        with self._lock, suppress(OSError):
            self.connection.send(message)

    def receive(self) -> Any:  # noqa: ANN401 - one of the message classes
        """Wait for the next message of the other process; return None when it has ended."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):  # OSError if it ended with unread messages
            return None


class OtherWorkers:
    """The state of the other workers, which are not ready at first."""

    are_ready = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerIdentity:
    """The identity of a worker. `keys` name the plans whose cores the first process runs.

    `is_late` is true for a replacement, which accepts no connections before its engines are ready.
    `metrics` is the folder of the metrics of all workers.
    """

    index: int
    keys: tuple[str, ...]
    metrics: Path
    is_late: bool


def run_worker(settings: Settings, identity: WorkerIdentity, connection: Connection) -> None:
    """Run a worker until SIGTERM arrives or the first process ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; workers get SIGTERM
    if has_reloadable_files(settings):  # the first process refuses it, also for its workers
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    set_up_logs(settings.log_format, settings.log_level)
    if identity.keys or identity.index or identity.is_late:  # another process logs these lines
        for name in (
            "engine.demo.checkpoints",
            "engine.lifecycle.loading",
            "engine.lifecycle.supervised",
            "engine.vllm.dtype",
            "engine.vllm.engine",
            "engine.vllm.options",
        ):
            logging.getLogger(name).setLevel(logging.WARNING)
    channel, others = MessageChannel(connection), OtherWorkers()
    index, count = identity.index, settings.workers
    cores = {key: _cores_elsewhere(channel, key, index, count) for key in identity.keys}
    registry = load_models(settings.registry, settings.model)
    service = assemble(
        settings,
        registry,
        cores,
        identity.metrics,
        others_ready=lambda: others.are_ready,
    )
    listener = listen(settings.host, settings.port, partial(bind_socket, shared=True))
    if not identity.is_late:
        listener.listen(BACKLOG)
    threading.Thread(target=_receive_messages, args=[channel, cores, others], daemon=True).start()
    gc.freeze()  # as in serve_alone
    assert service.engines
    report_start = partial(_report_start, service.engines, channel)
    before_accept = partial(_open_late, service.engines, listener) if identity.is_late else None
    asyncio.run(run(service, listener, report_start, [signal.SIGTERM], before_accept))
    first = multiprocessing.parent_process()
    if first and not first.is_alive():  # then no other process removes it
        rmtree(identity.metrics, ignore_errors=True)


def _cores_elsewhere(channel: MessageChannel, key: str, index: int, count: int) -> SharedCores:
    return SharedCores(
        index,
        count,
        partial(channel.send, CoresConnected(key)),
        _end_this_worker,
        partial(channel.send, CoresSilent(key)),
    )


def _report_start(engines: Engines, channel: MessageChannel) -> None:
    channel.send(Started())
    task = asyncio.create_task(_report_readiness(engines, channel))
    REPORTS.add(task)  # asyncio itself holds tasks weakly


async def _open_late(engines: Engines, listener: socket, stop: asyncio.Event) -> None:
    """Listen once the models are ready, so that clients notice no cold start."""
    await engines.wait_until_ready(MAX_SETTLE_SECONDS, stop.is_set)
    listener.listen(BACKLOG)


async def _report_readiness(engines: Engines, channel: MessageChannel) -> None:
    is_ready = False
    while True:
        if engines.accept_calls() != is_ready:
            is_ready = not is_ready
            channel.send(Readiness(is_ready))
        await asyncio.sleep(READY_CHECK_SECONDS)


def _end_this_worker() -> None:
    log.error("This worker has lost vLLM's cores and can't reconnect to them, so it ends")
    os.kill(os.getpid(), signal.SIGTERM)


def _receive_messages(
    channel: MessageChannel, cores: Mapping[str, SharedCores], others: OtherWorkers
) -> None:
    """Handle messages of the first process. End this worker when that process ends."""
    while (message := channel.receive()) is not None:
        if isinstance(message, TeamReadiness):
            others.are_ready = message.are_ready
        elif isinstance(message.news, FrontEnd):
            cores[message.key].found(message.news)
        else:
            cores[message.key].lost(message.news)
    os.kill(os.getpid(), signal.SIGTERM)
