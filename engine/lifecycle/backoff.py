"""Back-off between the starts of an engine that fails. Pure; the caller passes the time."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """The back-off before each restart of a failed engine, in seconds.

    The pause is `first`, doubles with each failure up to `longest`, and is `first` again after the
    engine has been ready for `steady`. An engine that was never ready is started `tries` times in
    all: enough if a GPU is not free yet or the hub is down for a moment, and a wrong path does not
    fill the log for ever.
    """

    first: float = 1.0
    longest: float = 60.0
    steady: float = 60.0
    tries: int = 8  # two minutes of pauses, plus the loads


class Restarts:
    """The history of one engine's starts. Times are seconds on the caller's clock."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._pause = backoff.first
        self._tries_left: int | None = backoff.tries
        self._ready_since: float | None = None

    def note_ready(self, now: float) -> None:
        self._ready_since = now
        self._tries_left = None

    def note_failure(self, now: float) -> float | None:
        """Return the pause until the next start, in seconds; None to give up."""
        since, self._ready_since = self._ready_since, None
        if since is not None and now - since >= self._backoff.steady:
            self._pause = self._backoff.first
        if self._tries_left is not None:
            self._tries_left -= 1
            if not self._tries_left:
                return None
        pause, self._pause = self._pause, min(self._backoff.longest, 2 * self._pause)
        return pause
