"""`serve --workers N`: so many processes on one port, and vLLM's engine cores beside them.

The first process answers nobody. It runs the cores, tells its workers where they and the cores
meet, and starts the cores again when they have died. It ends all when a worker has died: vLLM's
cores greet their front ends once only, so that a new one could not take its place.
"""

import asyncio
import gc
import logging
import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

from engine.errors import EngineDead
from engine.restarts import Backoff, Restarts
from engine.vllm_cores import CoresElsewhere, FrontEnd, VllmCores
from invoke_api import __version__
from invoke_api.environment import handing_on
from invoke_api.logs import set_up_logs
from invoke_api.registry import Registry
from invoke_api.server import BACKLOG, SIGNALS, bind_socket, end_at_once, to_url
from invoke_api.serving import LISTENS, assemble, cores_of, listen, load_models, run
from invoke_api.settings import Settings

log = logging.getLogger(__name__)

LOOK = 0.2  # seconds between two looks for a signal
PATIENCE = 15.0  # seconds that workers get to end, beyond the grace of their calls
LISTENING = ""  # what a worker says; later the key of each plan whose cores it has met
# Where prometheus_client, once it is imported, keeps what several processes count.
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
DIED = "vLLM's engine core has died; its log says why"


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


@dataclass(frozen=True, slots=True)
class Worker:
    process: SpawnProcess
    line: "Line"

    def tell(self, key: str, news: FrontEnd | str) -> None:
        """Where it meets the cores of this plan, or why it does not."""
        self.line.send((key, news))


def serve_with_workers(settings: Settings, registry: Registry) -> int:
    """The exit status. Raises `click.ClickException` for what can't be served."""
    tls = assemble(settings, registry).tls  # for its complaints, before there are N of each
    cores = cores_of(settings, registry)
    # Another service's workers would share the port with ours.
    listen(settings.host, settings.port, bind_socket).close()
    shared = partial(bind_socket, shared=True)
    held = listen(settings.host, settings.port, shared)  # the port; nobody listens here
    settings = replace(settings, port=held.getsockname()[1])
    with TemporaryDirectory(prefix="invoke-api-metrics-") as folder:
        return Team(settings, to_url(held, tls), cores, Path(folder)).run()


class Team:
    """The workers and the cores, from the first process's side."""

    def __init__(
        self,
        settings: Settings,
        url: str,
        cores: Mapping[str, tuple[VllmCores, list[str]]],
        metrics: Path,
    ) -> None:
        self._url = url
        self._cores = cores
        self._metrics = metrics
        self._signals = 0
        self._patience = settings.shutdown_delay + settings.graceful_timeout + PATIENCE
        with handing_on(METRICS_FOLDER, str(metrics)):
            self._workers = [
                _start_worker(settings, index, list(cores), metrics)
                for index in range(settings.workers)
            ]
        self._lines = {worker.line.connection: worker.line for worker in self._workers}
        self._said: Counter[str] = Counter()
        self._began: dict[str, float] = {}  # by the keys of plans, when the last load began
        self._is_ending = threading.Event()

    def run(self) -> int:
        """Until a signal comes or a worker has ended, which is status 1."""
        for number in SIGNALS:
            signal.signal(number, self._note_signal)
        for key in self._cores:
            threading.Thread(target=self._keep_cores, args=[key], daemon=True).start()
        status = 0
        while not self._signals and not status:
            ready = wait([*self._sentinels(), *self._lines], LOOK)
            self._hear(self._lines.keys() & set(ready))
            status = self._note_dead_workers()
        self._end()
        return status

    def _note_signal(self, number: int, _: object) -> None:
        self._signals += 1
        if self._signals > 1:
            rmtree(self._metrics, ignore_errors=True)
            end_at_once(number, None)

    def _sentinels(self) -> list[int]:
        return [worker.process.sentinel for worker in self._workers]

    def _hear(self, connections: Iterable[Connection]) -> None:
        for connection in connections:
            said = self._lines[connection].hear()
            if said is None:  # its sentinel tells too
                del self._lines[connection]
                continue
            self._said[said] += 1
            if self._said[said] == len(self._workers):
                self._announce(said)

    def _announce(self, said: str) -> None:
        if said == LISTENING:
            log.info(LISTENS, __version__, f"{self._url} ({len(self._workers)} workers)")
        else:
            names = ", ".join(self._cores[said][1])
            log.info("ready after %.1f s: %s", monotonic() - self._began[said], names)

    def _note_dead_workers(self) -> int:
        for worker in self._workers:
            if worker.process.exitcode is not None:
                name, status = worker.process.name, worker.process.exitcode
                log.error("%s has ended with status %d, so all end", name, status)
                return 1
        return 0

    def _keep_cores(self, key: str) -> None:
        """Start them, and again when they have died, until all ends."""
        cores, ids = self._cores[key]
        names = ", ".join(ids)
        restarts = Restarts(Backoff())
        while True:
            if self._start_cores(key, names):
                restarts.note_ready(monotonic())
                wait(cores.sentinels())
                if self._signals or self._is_ending.is_set():  # Ctrl-C ends the cores, too
                    return
                log.error("%s: %s", names, DIED)
                self._tell_all(key, [DIED] * len(self._workers))
                cores.close()  # the others, and their workers
            pause = restarts.note_failure(monotonic())
            if pause is None:
                log.error("%s: not started again, for it was never ready", names)
                return
            log.info("%s: started again in %g s", names, pause)
            if self._is_ending.wait(pause):
                return

    def _start_cores(self, key: str, names: str) -> bool:
        """Whether they run; the workers are told."""
        log.info("loading %s", names)
        self._began[key] = began = monotonic()
        news: Sequence[FrontEnd | str]
        try:
            news = self._cores[key][0].start()
        except EngineDead as error:
            if not self._is_ending.is_set():
                log.error("failed after %.1f s: %s: %s", monotonic() - began, names, error)  # noqa: TRY400 - a sentence is enough
            self._tell_all(key, [str(error)] * len(self._workers))
            return False
        self._said[key] = 0
        self._tell_all(key, news)
        return True

    def _tell_all(self, key: str, news: Iterable[FrontEnd | str]) -> None:
        for worker, piece in zip(self._workers, news, strict=True):
            worker.tell(key, piece)

    def _end(self) -> None:
        self._is_ending.set()
        for worker in self._workers:
            worker.process.terminate()
        deadline = monotonic() + self._patience
        for worker in self._workers:
            worker.process.join(max(0.0, deadline - monotonic()))
            worker.process.kill()
        for cores, _ in self._cores.values():
            cores.close()
        for core in multiprocessing.active_children():  # of those that have yet to start
            core.kill()
        log.info("stopped")


def _start_worker(settings: Settings, index: int, keys: list[str], metrics: Path) -> Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(
        target=work, name=f"worker-{index + 1}", args=[settings, index, theirs, keys, metrics]
    )
    process.start()
    theirs.close()
    return Worker(process, Line(ours))


def work(
    settings: Settings, index: int, connection: Connection, keys: list[str], metrics: Path
) -> None:
    """What a worker does, until SIGTERM comes or the first process is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the first process tells us
    set_up_logs(settings.log_format)
    if keys or index:  # the first process tells, or the first of us
        for name in ("engine.kept", "engine.loading", "engine.vllm_engine"):
            logging.getLogger(name).setLevel(logging.WARNING)
    line = Line(connection)
    cores = {
        key: CoresElsewhere(index, settings.workers, partial(line.send, key), _end_this_worker)
        for key in keys
    }
    registry = load_models(settings.registry, settings.model)
    service = assemble(settings, registry, cores, metrics)
    listener = listen(settings.host, settings.port, partial(bind_socket, shared=True))
    listener.listen(BACKLOG)
    threading.Thread(target=_hear, args=[line, cores], daemon=True).start()
    gc.freeze()  # as in serve_alone
    asyncio.run(run(service, listener, lambda: line.send(LISTENING), [signal.SIGTERM]))
    first = multiprocessing.parent_process()
    if first and not first.is_alive():  # so that nobody else removes it
        rmtree(metrics, ignore_errors=True)


def _end_this_worker() -> None:
    log.error("this worker has lost vLLM's cores and can't have them back, so it ends")
    os.kill(os.getpid(), signal.SIGTERM)


def _hear(line: Line, cores: Mapping[str, CoresElsewhere]) -> None:
    """The news of the first process, and its end."""
    while (said := line.hear()) is not None:
        key, news = said
        if isinstance(news, FrontEnd):
            cores[key].found(news)
        else:
            cores[key].lost(news)
    os.kill(os.getpid(), signal.SIGTERM)
