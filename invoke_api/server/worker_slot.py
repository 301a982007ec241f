"""The place of one worker beside the others: which process has it, and when the next one starts."""

import multiprocessing
from dataclasses import replace
from multiprocessing.context import SpawnProcess

from engine.lifecycle.backoff import Backoff, Restarts
from invoke_api.server.environment import handing_on
from invoke_api.server.settings import Settings
from invoke_api.server.worker import Line, Place, work

# Where prometheus_client, once it is imported, keeps what several processes count.
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class Slot:
    """A process and its line. Times are in seconds, on one clock.

    `starts_at` is when the next process starts, None while one runs. `is_ready` is what that one
    said last. A replacement is `late` until it is ready: it takes no connections before.
    """

    def __init__(self, settings: Settings, place: Place, backoff: Backoff) -> None:
        self._settings = settings
        self._place = place
        self._restarts = Restarts(backoff)
        self.name = f"worker-{place.index + 1}"
        self.starts_at: float | None = None
        self.has_listened = self.is_ready = self.is_late = False
        self.process, self.line = self._start(place)

    @property
    def takes_connections(self) -> bool:
        return self.starts_at is None and not self.is_late

    def note_listening(self, now: float) -> None:
        self.has_listened = True
        self._restarts.note_ready(now)

    def note_ready(self, *, is_ready: bool) -> bool:
        """Return whether a replacement takes connections from now on."""
        self.is_ready = is_ready
        begins, self.is_late = self.is_late and is_ready, self.is_late and not is_ready
        return begins

    def note_end(self, now: float) -> float:
        """Return in how many seconds the next process starts. One that has listened has ended."""
        pause = self._restarts.note_failure(now)
        assert pause is not None, "Restarts gives up only those that were never ready"
        self.starts_at = now + pause
        self.is_ready, self.is_late = False, True
        return pause

    def start_next(self) -> None:
        self.starts_at = None
        self.process, self.line = self._start(replace(self._place, is_late=True))

    def _start(self, place: Place) -> tuple[SpawnProcess, Line]:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=work, name=self.name, args=[self._settings, place, theirs])
        with handing_on(METRICS_FOLDER, str(place.metrics)):
            process.start()
        theirs.close()
        return process, Line(ours)
