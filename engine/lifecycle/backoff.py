"""When an engine that has failed is started again: pure, on a clock it is told."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to wait before each start of an engine that has failed, in seconds.

    `first` at first, then twice as long each time, up to `longest`; after it has been ready for
    `steady`, `first` again. One that was never ready is started `tries` times in all. That is
    enough for a GPU that the last process has not left yet and for a hub that is down for a
    moment, and a path that leads nowhere does not fill the log for ever.
    """

    first: float = 1.0
    longest: float = 60.0
    steady: float = 60.0
    tries: int = 8  # two minutes of waiting, and the loads


class Restarts:
    """What has become of one engine so far. Times are in seconds, on one clock."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._pause = backoff.first
        self._tries_left: int | None = backoff.tries
        self._ready_since: float | None = None

    def note_ready(self, now: float) -> None:
        self._ready_since = now
        self._tries_left = None

    def note_failure(self, now: float) -> float | None:
        """In how many seconds it is to be started again; None if never."""
        since, self._ready_since = self._ready_since, None
        if since is not None and now - since >= self._backoff.steady:
            self._pause = self._backoff.first
        if self._tries_left is not None:
            self._tries_left -= 1
            if not self._tries_left:
                return None
        pause, self._pause = self._pause, min(self._backoff.longest, 2 * self._pause)
        return pause
