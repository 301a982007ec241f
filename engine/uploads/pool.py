"""A pool of worker processes that are started on demand and reused."""

import atexit
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from engine.uploads.call import current_session
from engine.uploads.limits import MAX_WORKERS, MEGABYTE, UploadLimits
from engine.uploads.messages import Message
from engine.uploads.reader import UploadWorker
from engine.uploads.refusals import UploadRefused

log = logging.getLogger(__name__)

# A worker with more memory than this is replaced, because processes rarely give memory back.
MAX_RESIDENT_BYTES = 200 * MEGABYTE
MAX_UPLOADS_PER_WORKER = 500  # then it is replaced, in case a library keeps state


class WorkerPool:
    """A pool of up to `most` workers. Its methods are thread-safe; `read` blocks."""

    def __init__(self, most: int = MAX_WORKERS) -> None:
        self._slots = threading.BoundedSemaphore(most)
        self._lock = threading.Lock()
        self._idle: list[tuple[UploadWorker, int]] = []
        self._busy: set[UploadWorker] = set()
        self._closes_at_exit = False

    def read(self, kind: str, raw: bytes, limits: UploadLimits, **options: object) -> Message:
        """Have a worker read an upload of the current session. Raises `UploadRefused`."""
        session = current_session()
        session.check()
        with self._worker() as worker, session.reading(worker, limits.seconds) as seconds:
            return worker.read(kind, raw, limits, seconds, options)

    def close(self) -> None:
        """End all workers, and the uploads in flight. The next upload starts new workers."""
        with self._lock:
            idle, self._idle = self._idle, []
            for worker in self._busy:  # the threads that wait for them close them
                worker.kill()
        for worker, _ in idle:
            worker.close()

    @contextmanager
    def _worker(self) -> Iterator[UploadWorker]:
        with self._slots:
            worker, uploads = self._take()
            try:
                yield worker
            finally:
                self._give_back(worker, uploads + 1)

    def _take(self) -> tuple[UploadWorker, int]:
        with self._lock:
            while self._idle:
                worker, uploads = self._idle.pop()
                self._busy.add(worker)
                if worker.is_alive():
                    return worker, uploads
                self._busy.discard(worker)
                worker.close()
        try:
            worker = UploadWorker()
        except OSError as error:  # no process, memory or file descriptor is left
            log.warning("can't start a worker for uploads: %s", error)
            raise UploadRefused("unavailable", "it can't be read now") from error
        with self._lock:
            self._busy.add(worker)
            if not self._closes_at_exit:
                atexit.register(self.close)
                self._closes_at_exit = True
        return worker, 0

    def _give_back(self, worker: UploadWorker, uploads: int) -> None:
        is_good = (
            worker.is_fit
            and uploads < MAX_UPLOADS_PER_WORKER
            and worker.resident < MAX_RESIDENT_BYTES
        )
        with self._lock:
            self._busy.discard(worker)
            if is_good:
                self._idle.append((worker, uploads))
        if not is_good:
            worker.close()


# One for the whole process, because all engines and services in it share the CPU cores.
WORKERS = WorkerPool()
