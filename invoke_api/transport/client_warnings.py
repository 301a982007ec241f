"""Log lines about clients: at most one a minute of each kind, with the number of suppressed ones.

A line for each connection would let clients fill the disk.
"""

import asyncio
import logging
from weakref import WeakKeyDictionary

log = logging.getLogger(__name__)

MIN_SECONDS_BETWEEN_LINES = 60.0  # of one kind


class ClientWarnings:
    """The warnings of one event loop. The caller passes the time, and uses few kinds."""

    def __init__(self) -> None:
        self._logged: dict[str, float] = {}  # when the last line of a kind was logged
        self._suppressed: dict[str, int] = {}

    def add(self, kind: str, text: str, now: float) -> None:
        """Log a text, unless a line of its kind was logged less than a minute ago."""
        logged = self._logged.get(kind)
        if logged is not None and now - logged < MIN_SECONDS_BETWEEN_LINES:
            self._suppressed[kind] += 1
            return
        count = self._suppressed.get(kind, 0)
        self._logged[kind], self._suppressed[kind] = now, 0
        log.warning("%s%s", text, f"; {count:,} more since the last such line" if count else "")


WARNINGS: WeakKeyDictionary[asyncio.AbstractEventLoop, ClientWarnings] = WeakKeyDictionary()


def warn(loop: asyncio.AbstractEventLoop, kind: str, text: str) -> None:
    """Log a text about a client, or count it if its kind was logged less than a minute ago."""
    WARNINGS.setdefault(loop, ClientWarnings()).add(kind, text, loop.time())
