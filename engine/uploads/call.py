"""The uploads of one call: what they may cost together, and their end with the call."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic
from typing import Protocol

from engine.uploads.limits import CALL_SECONDS, MOST_PIXELS, WHOLE_PIXELS
from engine.uploads.refusals import UploadRefused


class Killable(Protocol):
    """What a call ends when it is cancelled."""

    def kill(self) -> None: ...


class Call:
    """One call that may have uploads. `cancel` is for any thread, everything else for its own.

    `whole` pixels of its images may still be kept as they are, and `pixels` at all.
    """

    def __init__(self, seconds: float = CALL_SECONDS, *, whole: int = WHOLE_PIXELS) -> None:
        self._left = seconds
        self.whole = whole
        self.pixels = MOST_PIXELS
        self._lock = threading.Lock()
        self._running: Killable | None = None
        self.is_cancelled = False

    def cancel(self) -> None:
        """End what is read for it at once; whatever it asks for later is refused."""
        with self._lock:
            self.is_cancelled = True
            if self._running:
                self._running.kill()

    def keep(self, pixels: int) -> None:
        """Count the pixels of an image."""
        self.whole = max(0, self.whole - pixels)
        self.pixels -= pixels

    def check(self) -> None:
        """Raises `UploadRefused` if the call has ended, or has used up its time."""
        if self.is_cancelled:
            raise UploadRefused("cancelled", "the call has ended")
        if self._left <= 0:
            raise UploadRefused("time", "all of them together take too long to read")

    @contextmanager
    def reading(self, reader: Killable, most: float) -> Iterator[float]:
        """Have `cancel` kill this reader meanwhile. Yields the seconds it may take, up to `most`.

        Raises `UploadRefused`, also in place of what happened if the call was cancelled.
        """
        with self._lock:
            self.check()
            self._running = reader
        began = monotonic()
        try:
            yield min(most, self._left)
        finally:
            self._left -= monotonic() - began
            with self._lock:
                self._running = None
            if self.is_cancelled:
                self.check()


# Of the thread that prepares a call. It is not handed down: mistral-common stands in between.
CURRENT: ContextVar[Call | None] = ContextVar("CURRENT", default=None)


def current_call() -> Call:
    return CURRENT.get() or Call()
