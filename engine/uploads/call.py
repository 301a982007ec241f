"""The uploads of one call: a common budget, and cancellation with the call."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic
from typing import Protocol

from engine.uploads.limits import CALL_SECONDS, MAX_AUDIO_SECONDS, MAX_PIXELS, MAX_UNSCALED_PIXELS
from engine.uploads.refusals import UploadRefused


class ReadWouldBlock(Exception):
    """An upload in code that must not block. Repeat the work where it may block."""


class Killable(Protocol):
    """A worker that a cancelled call kills."""

    def kill(self) -> None: ...


class UploadSession:
    """The budget of one call's uploads. `cancel` is thread-safe; the rest is for the call's thread.

    The call has left: `seconds` to read, `unscaled` pixels of images that are not scaled down,
    `pixels` of all its images, and `audio_seconds`.
    """

    def __init__(
        self, seconds: float = CALL_SECONDS, *, unscaled: int = MAX_UNSCALED_PIXELS
    ) -> None:
        self._left = seconds
        self.unscaled = unscaled
        self.pixels = MAX_PIXELS
        self.audio_seconds: float = MAX_AUDIO_SECONDS
        self._lock = threading.Lock()
        self._running: Killable | None = None
        self.is_cancelled = False

    def cancel(self) -> None:
        """Kill the running worker, and refuse the call's later uploads."""
        with self._lock:
            self.is_cancelled = True
            if self._running:
                self._running.kill()

    def count_pixels(self, pixels: int) -> None:
        """Take the pixels of an image from the budget."""
        self.unscaled = max(0, self.unscaled - pixels)
        self.pixels -= pixels

    def check(self) -> None:
        """Raise `UploadRefused` if the call has ended, or has used up its time."""
        if self.is_cancelled:
            raise UploadRefused("cancelled", "the call has ended")
        if self._left <= 0:
            raise UploadRefused("time", "all of them together take too long to read")

    @contextmanager
    def reading(self, worker: Killable, most: float) -> Iterator[float]:
        """Let `cancel` kill this worker while the context is open.

        Yields the seconds that the worker may take, at most `most`. Raises `UploadRefused`, which
        replaces any other exception if the call was cancelled.
        """
        with self._lock:
            self.check()
            self._running = worker
        began = monotonic()
        try:
            yield min(most, self._left)
        finally:
            self._left -= monotonic() - began
            with self._lock:
                self._running = None
            if self.is_cancelled:
                self.check()


NO_UPLOADS = UploadSession(0.0)  # for code that must not block
# The session of the call that is being prepared. A context variable, because mistral-common calls
# our code and can't pass it as an argument.
CURRENT_SESSION: ContextVar[UploadSession | None] = ContextVar("CURRENT_SESSION", default=None)


def current_session() -> UploadSession:
    """Return the current session, or a new one. Raises `ReadWouldBlock`."""
    session = CURRENT_SESSION.get()
    if session is NO_UPLOADS:
        raise ReadWouldBlock
    return session or UploadSession()
