"""A slot for a worker process, which is restarted with back-off when it ends."""

import multiprocessing
from dataclasses import replace
from multiprocessing.context import SpawnProcess

from engine.lifecycle.backoff import Backoff, Restarts
from invoke_api.server.environment import environment_variable
from invoke_api.server.settings import Settings
from invoke_api.server.worker import MessageChannel, WorkerIdentity, run_worker

# The variable that names prometheus_client's folder of shared metrics, when it is imported.
METRICS_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


class Slot:
    """A worker process and its message channel. Times are in seconds on the caller's clock.

    `starts_at` is when the next process starts; None while one runs. `is_ready` is the last
    reported readiness. `is_late` is true for a replacement until it is ready; it accepts no
    connections before.
    """

    def __init__(self, settings: Settings, identity: WorkerIdentity, backoff: Backoff) -> None:
        self._settings = settings
        self._identity = identity
        self._restarts = Restarts(backoff)
        self.name = f"worker-{identity.index + 1}"
        self.starts_at: float | None = None
        self.has_listened = self.is_ready = self.is_late = False
        self.process, self.channel = self._start(identity)

    @property
    def takes_connections(self) -> bool:
        return self.starts_at is None and not self.is_late

    def note_listening(self, now: float) -> None:
        self.has_listened = True
        self._restarts.note_ready(now)

    def note_ready(self, *, is_ready: bool) -> bool:
        """Record readiness. Return whether a replacement accepts connections from now on."""
        self.is_ready = is_ready
        begins, self.is_late = self.is_late and is_ready, self.is_late and not is_ready
        return begins

    def note_end(self, now: float) -> float:
        """Record the end of a worker that has listened. Return the seconds until the next start."""
        pause = self._restarts.note_failure(now)
        assert pause is not None, "a worker that was ready is always restarted"
        self.starts_at = now + pause
        self.is_ready, self.is_late = False, True
        return pause

    def start_next(self) -> None:
        self.starts_at = None
        self.process, self.channel = self._start(replace(self._identity, is_late=True))

    def _start(self, identity: WorkerIdentity) -> tuple[SpawnProcess, MessageChannel]:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=run_worker, name=self.name, args=[self._settings, identity, theirs]
        )
        with environment_variable(METRICS_FOLDER_VARIABLE, str(identity.metrics)):
            process.start()
        theirs.close()
        return process, MessageChannel(ours)
