"""`serve --workers N`: N worker processes on one port, and vLLM's engine cores beside them.

The first process serves no requests. It runs the cores, sends its workers the addresses of the
cores, and restarts cores that have died. It replaces a worker that has died, unless there are
cores: then the other workers finish their calls, and the service ends.

With cores a new worker could not replace the dead one. A front end waits for a core's ready
message, with the size of the KV cache. The core sends it once, when its input sockets connect (vLLM
0.32: `EngineCoreProc.process_input_sockets`; `MPClient.__init__` waits for it). The core's DEALER
socket does reconnect to the next process that binds the address, but does not repeat the message.
The new ROUTER accepts no second peer of the same identity unless `enable_elastic_ep` is set
(`router_handover`), so no other process can send the message in the core's name. And the core
continues the requests of the dead worker, which no process can abort. vLLM's own server also ends
when one of its front ends does.
"""

import logging
import multiprocessing
import signal
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from time import monotonic

from engine.errors import EngineDead
from engine.lifecycle.backoff import Backoff, Restarts
from engine.lifecycle.loading import shorten_names, telling_beside
from engine.vllm.cores import FrontEnd, VllmCores
from engine.vllm.health_check import HANG_CHECK_SECONDS
from invoke_api import __version__
from invoke_api.models.engine_factory import most_loading
from invoke_api.models.registry import Registry
from invoke_api.observability.exposition import forget_process
from invoke_api.server.bootstrap import (
    LISTENING,
    assemble,
    choice_of,
    cores_of,
    has_reloadable_files,
    listen,
    seconds_to_end,
)
from invoke_api.server.http_server import SIGNALS, Grace, bind_socket, end_at_once, to_url
from invoke_api.server.reload import refuse_reload
from invoke_api.server.settings import Settings
from invoke_api.server.worker import (
    CoresConnected,
    CoresNews,
    CoresSilent,
    Readiness,
    Started,
    TeamReadiness,
    WorkerIdentity,
)
from invoke_api.server.worker_slot import Slot

log = logging.getLogger(__name__)

CHECK_SECONDS = 0.2  # between two checks for signals and for workers to start
SILENCE_SECONDS = 1.5 * HANG_CHECK_SECONDS  # validity of a worker's report of a silent core
CORE_DIED = "vLLM's engine core has died; its log says why"


def serve_with_workers(settings: Settings, registry: Registry) -> int:
    """Serve until a signal arrives, and return the exit status.

    Raises `click.ClickException` if the service can't start.
    """
    if has_reloadable_files(settings):
        signal.signal(signal.SIGHUP, lambda *_: refuse_reload())
    service = assemble(settings, registry)  # reports mistakes once, not once for each worker
    cores = cores_of(settings, registry)
    # With SO_REUSEPORT alone, another service with workers could share the port.
    listen(settings.host, settings.port, bind_socket).close()
    shared = partial(bind_socket, shared=True)
    held = listen(settings.host, settings.port, shared)  # reserves the port, never listens
    settings = replace(settings, port=held.getsockname()[1])
    with TemporaryDirectory(prefix="invoke-api-metrics-") as folder:
        url, most = to_url(held, service.tls), most_loading(choice_of(settings))
        return WorkerTeam(settings, url, cores, Path(folder), most).run()


class WorkerTeam:
    """The workers and the cores of a service, supervised by the first process."""

    def __init__(
        self,
        settings: Settings,
        url: str,
        cores: Mapping[str, tuple[VllmCores, list[str]]],
        metrics: Path,
        most_loading: int | None = None,
    ) -> None:
        self._url = url
        self._cores = cores
        self._metrics = metrics
        self._signals = 0
        self._grace = Grace(settings.shutdown_delay, settings.graceful_timeout)
        identities = (
            WorkerIdentity(index=index, keys=tuple(cores), metrics=metrics, is_late=False)
            for index in range(settings.workers)
        )
        self._slots = [Slot(settings, identity, Backoff()) for identity in identities]
        self._slots_by_connection = {slot.channel.connection: slot for slot in self._slots}
        self._are_ready = False
        self._connected: Counter[str] = Counter()
        self._silences: dict[str, float] = {}  # by plan key: time of the last report
        self._began: dict[str, float] = {}  # by plan key: time of the last load
        # For first loads: with `most_loading`, the first cores alone, then so many at a time.
        self._turns = threading.Semaphore(most_loading or max(1, len(cores)))
        self._has_loaded_first = threading.Event()
        if not most_loading:
            self._has_loaded_first.set()
        self._is_ending = threading.Event()

    def run(self) -> int:
        """Run until a signal arrives, or until a worker ends that can't be replaced.

        Return the exit status, which is 1 in the second case.
        """
        for number in SIGNALS:
            signal.signal(number, self._note_signal)
        for key in self._cores:
            threading.Thread(target=self._supervise_cores, args=[key], daemon=True).start()
        status = 0
        while not self._signals and not status:
            ready = wait([*self._sentinels(), *self._slots_by_connection], CHECK_SECONDS)
            self._receive(self._slots_by_connection.keys() & set(ready))
            status = self._note_dead_workers()
            self._start_next_workers()
            self._tell_readiness()
        self._end()
        return status

    def _note_signal(self, number: int, _: object) -> None:
        self._signals += 1
        if self._signals > 1:
            rmtree(self._metrics, ignore_errors=True)
            end_at_once(number, None)

    def _sentinels(self) -> list[int]:
        return [slot.process.sentinel for slot in self._slots if slot.starts_at is None]

    def _receive(self, connections: Iterable[Connection]) -> None:
        for connection in connections:
            slot = self._slots_by_connection[connection]
            match slot.channel.receive():
                case None:  # its sentinel reports the end
                    del self._slots_by_connection[connection]
                case Started():
                    self._note_listening(slot)
                case Readiness(is_ready):
                    if slot.note_ready(is_ready=is_ready):
                        log.info("%s accepts connections again", slot.name)
                case CoresSilent(key):
                    self._silences[key] = monotonic()
                case CoresConnected(key):
                    self._note_connected(key)

    def _note_listening(self, slot: Slot) -> None:
        had_all = all(each.has_listened for each in self._slots)
        slot.note_listening(monotonic())
        if not had_all and all(each.has_listened for each in self._slots):
            log.info(LISTENING, __version__, f"{self._url} ({len(self._slots)} workers)")

    def _note_connected(self, key: str) -> None:
        self._connected[key] += 1
        if self._connected[key] == len(self._slots):
            names = ", ".join(self._cores[key][1])
            log.info("ready after %.1f s: %s", monotonic() - self._began[key], names)

    def _note_dead_workers(self) -> int:
        """Schedule replacements of dead workers. Return status 1 if one can't be replaced."""
        for slot in self._slots:
            if slot.starts_at is not None or slot.process.exitcode is None:
                continue
            ended = f"{slot.name} has ended with status {slot.process.exitcode}"
            if self._cores:
                log.error(
                    "%s, and vLLM's cores accept no replacement:"
                    " the other workers finish their calls, and the service ends",
                    ended,
                )
                return 1
            if not slot.has_listened:
                log.error("%s before it listened, so the service ends", ended)
                return 1
            log.error("%s; its replacement starts in %g s", ended, slot.note_end(monotonic()))
            forget_process(slot.process.pid, self._metrics)
        return 0

    def _start_next_workers(self) -> None:
        for slot in self._slots:
            if slot.starts_at is not None and monotonic() >= slot.starts_at:
                slot.start_next()
                self._slots_by_connection[slot.channel.connection] = slot
                slot.channel.send(TeamReadiness(self._are_ready))

    def _tell_readiness(self) -> None:
        """Tell all workers, at a change, whether those that accept connections are all ready."""
        are_ready = all(slot.is_ready for slot in self._slots if slot.takes_connections)
        if are_ready != self._are_ready:
            self._are_ready = are_ready
            for slot in self._slots:
                slot.channel.send(TeamReadiness(are_ready))

    def _supervise_cores(self, key: str) -> None:
        """Start the cores of a plan, and restart them after a failure, until the service ends."""
        cores, ids = self._cores[key]
        names = ", ".join(ids)
        restarts = Restarts(Backoff())
        if key != next(iter(self._cores)):
            self._has_loaded_first.wait()
        with self._turns:
            if self._signals or self._is_ending.is_set():
                return
            are_started = self._start_cores(key, names)
        self._has_loaded_first.set()
        while True:
            if are_started:
                restarts.note_ready(monotonic())
                reason = self._until_dead(key, cores)
                if self._signals or self._is_ending.is_set():  # Ctrl-C also ends the cores
                    return
                log.error("%s: %s", names, reason)
                self._tell_all(key, [reason] * len(self._slots))
                cores.close()  # the remaining cores, and their workers
            pause = restarts.note_failure(monotonic())
            if pause is None:
                log.error("%s: not restarted, because it was never ready", names)
                return
            log.info("%s: restarts in %g s", names, pause)
            if self._is_ending.wait(pause):
                return
            are_started = self._start_cores(key, names)

    def _until_dead(self, key: str, cores: VllmCores) -> str:
        """Wait until the cores die or hang, and kill hanging ones. Return the reason."""
        began = monotonic()
        while not wait(cores.sentinels(), HANG_CHECK_SECONDS) and not self._is_ending.is_set():
            # This process may have been suspended together with the cores.
            elapsed, began = min(monotonic() - began, 2 * HANG_CHECK_SECONDS), monotonic()
            is_silent = began - self._silences.get(key, -SILENCE_SECONDS) < SILENCE_SECONDS
            if reason := cores.judge(elapsed, is_silent=is_silent):
                cores.kill()
                return f"vLLM's engine core hangs: {reason}"
        return CORE_DIED

    def _start_cores(self, key: str, names: str) -> bool:
        """Start the cores of a plan, tell the workers, and return whether the cores run."""
        log.info("loading %s", names)
        self._began[key] = began = monotonic()
        short = shorten_names(names)
        news: Sequence[FrontEnd | str]
        try:
            with telling_beside(lambda past: log.info("still loading %s (%.0f s)", short, past)):
                news = self._cores[key][0].start()
        except EngineDead as error:
            if not self._is_ending.is_set():
                log.error("failed after %.1f s: %s: %s", monotonic() - began, names, error)  # noqa: TRY400 - a sentence is enough
            self._tell_all(key, [str(error)] * len(self._slots))
            return False
        self._connected[key] = 0
        self._silences.pop(key, None)  # reports of the previous cores
        self._tell_all(key, news)
        return True

    def _tell_all(self, key: str, news: Iterable[FrontEnd | str]) -> None:
        for slot, piece in zip(self._slots, news, strict=True):
            slot.channel.send(CoresNews(key, piece))

    def _end(self) -> None:
        self._is_ending.set()
        running = [slot.process for slot in self._slots if slot.starts_at is None]
        for process in running:
            process.terminate()
        deadline = monotonic() + seconds_to_end(self._grace)
        for process in running:
            process.join(max(0.0, deadline - monotonic()))
            process.kill()
        for cores, _ in self._cores.values():
            cores.close()
        for core in multiprocessing.active_children():  # cores that were still starting
            core.kill()
        log.info("stopped")
