"""The uploads of one call: their common budget, and their cancellation with the call."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic
from typing import Protocol

from engine.uploads.limits import CALL_SECONDS, MOST_PIXELS, MOST_SECONDS, WHOLE_PIXELS
from engine.uploads.refusals import UploadRefused


class ReadElsewhere(Exception):
    """An upload was found in code that must not block; repeat the work where it may block."""


class Killable(Protocol):
    """A reader that a cancelled call kills."""

    def kill(self) -> None: ...


class Call:
    """One call that may have uploads. `cancel` is thread-safe; the rest is for the call's thread.

    `whole` is how many more pixels its images may keep unscaled. `pixels` is how many more pixels
    they may have in all, `audio_seconds` how many more seconds its audio may last.
    """

    def __init__(self, seconds: float = CALL_SECONDS, *, whole: int = WHOLE_PIXELS) -> None:
        self._left = seconds
        self.whole = whole
        self.pixels = MOST_PIXELS
        self.audio_seconds: float = MOST_SECONDS
        self._lock = threading.Lock()
        self._running: Killable | None = None
        self.is_cancelled = False

    def cancel(self) -> None:
        """Kill the running reader at once, and refuse the call's later uploads."""
        with self._lock:
            self.is_cancelled = True
            if self._running:
                self._running.kill()

    def keep(self, pixels: int) -> None:
        """Count the pixels of an image."""
        self.whole = max(0, self.whole - pixels)
        self.pixels -= pixels

    def check(self) -> None:
        """Raise `UploadRefused` if the call has ended, or has used up its time."""
        if self.is_cancelled:
            raise UploadRefused("cancelled", "the call has ended")
        if self._left <= 0:
            raise UploadRefused("time", "all of them together take too long to read")

    @contextmanager
    def reading(self, reader: Killable, most: float) -> Iterator[float]:
        """Let `cancel` kill this reader while the context is open.

        Yields the seconds that the reader may take, at most `most`. Raises `UploadRefused`; if the
        call was cancelled, in place of any other exception.
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


NOWHERE = Call(0.0)  # for work that must not read uploads
# The call that is being prepared. A context variable, because mistral-common calls our code and
# passes no such argument.
CURRENT: ContextVar[Call | None] = ContextVar("CURRENT", default=None)


def current_call() -> Call:
    """Return the call that is being prepared, or a new one. Raises `ReadElsewhere`."""
    call = CURRENT.get()
    if call is NOWHERE:
        raise ReadElsewhere
    return call or Call()
