"""Log lines about badly behaved clients: one a minute for each kind, with a count of the others.

A line for each connection would let clients fill the disk.
"""

import asyncio
import logging
from weakref import WeakKeyDictionary

log = logging.getLogger(__name__)

QUIET_SECONDS = 60.0  # between two lines of one kind


class Complaints:
    """The lines of one service. The caller passes the time, and names few kinds."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}  # when the last line of a kind was logged
        self._left_out: dict[str, int] = {}

    def add(self, kind: str, client: str, now: float) -> None:
        """Log that a client was cut off for this, unless it was logged a short time ago."""
        since = self._since.get(kind)
        if since is not None and now - since < QUIET_SECONDS:
            self._left_out[kind] += 1
            return
        others = self._left_out.get(kind, 0)
        self._since[kind], self._left_out[kind] = now, 0
        more = f"; {others:,} more connections since the last such line" if others else ""
        log.warning("Closed the HTTP/2 connection of %s: %s%s", client, kind, more)


COMPLAINTS: WeakKeyDictionary[asyncio.AbstractEventLoop, Complaints] = WeakKeyDictionary()
