"""The worker processes of this process: started when they are needed, used again, few."""

import atexit
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from engine.uploads.call import current_call
from engine.uploads.limits import MEGABYTE, MOST_WORKERS, Limits
from engine.uploads.messages import Message
from engine.uploads.reader import Reader
from engine.uploads.refusals import UploadRefused

log = logging.getLogger(__name__)

# A worker that has come to hold as many bytes is replaced: memory is seldom given back.
MOST_RESIDENT = 200 * MEGABYTE
MOST_UPLOADS = 500  # that one worker reads before it is replaced, whatever a library has kept


class Pool:
    """Up to `most` workers. `read` blocks, and is for any thread."""

    def __init__(self, most: int = MOST_WORKERS) -> None:
        self._slots = threading.BoundedSemaphore(most)
        self._lock = threading.Lock()
        self._idle: list[tuple[Reader, int]] = []
        self._busy: set[Reader] = set()
        self._is_to_close = False  # when this process ends

    def read(self, kind: str, raw: bytes, limits: Limits, **options: object) -> Message:
        """Return what a worker has read, for the call of this thread. Raises `UploadRefused`."""
        call = current_call()
        call.check()
        with self._worker() as reader, call.reading(reader, limits.seconds) as seconds:
            return reader.read(kind, raw, limits, seconds, options)

    def close(self) -> None:
        """End all workers, and what they read. The next upload starts new ones."""
        with self._lock:
            idle, self._idle = self._idle, []
            for reader in self._busy:  # closed by the threads that wait for them
                reader.kill()
        for reader, _ in idle:
            reader.close()

    @contextmanager
    def _worker(self) -> Iterator[Reader]:
        with self._slots:
            reader, uploads = self._take()
            try:
                yield reader
            finally:
                self._give_back(reader, uploads + 1)

    def _take(self) -> tuple[Reader, int]:
        with self._lock:
            while self._idle:
                reader, uploads = self._idle.pop()
                self._busy.add(reader)
                if reader.is_alive():
                    return reader, uploads
                self._busy.discard(reader)
                reader.close()
        try:
            reader = Reader()
        except OSError as error:  # no processes, no memory, no files are left
            log.warning("can't start a worker for uploads: %s", error)
            raise UploadRefused("unavailable", "it can't be read now") from error
        with self._lock:
            self._busy.add(reader)
            if not self._is_to_close:
                atexit.register(self.close)
                self._is_to_close = True
        return reader, 0

    def _give_back(self, reader: Reader, uploads: int) -> None:
        is_good = reader.is_fit and uploads < MOST_UPLOADS and reader.resident < MOST_RESIDENT
        with self._lock:
            self._busy.discard(reader)
            if is_good:
                self._idle.append((reader, uploads))
        if not is_good:
            reader.close()


# One for the process, as the cores are: whatever engines and services there are in it.
WORKERS = Pool()
