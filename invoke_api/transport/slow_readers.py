"""Detection of clients that stay connected and read nothing, while they occupy a model."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STALL_SECONDS = 60.0  # guess: the read timeout of AWS SDKs
CHECKS_PER_STALL = 4


class StallTimer:
    """A timer that calls `give_up` when a client has read nothing for `STALL_SECONDS`.

    `waiting` returns the number of bytes that wait for the client, or None if there are none. A
    client that reads slowly may take any time.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        waiting: Callable[[], int | None],
        give_up: Callable[[], object],
    ) -> None:
        self._loop = loop
        self._waiting = waiting
        self._give_up = give_up
        self._last = waiting()
        self._unchanged = 0  # checks in a row without progress
        self._wait()

    def stop(self) -> None:
        self._timer.cancel()

    def _wait(self) -> None:
        self._timer = self._loop.call_later(STALL_SECONDS / CHECKS_PER_STALL, self._check)

    def _check(self) -> None:
        now = self._waiting()
        self._unchanged = self._unchanged + 1 if now is not None and now == self._last else 0
        self._last = now
        if self._unchanged == CHECKS_PER_STALL:
            self._give_up()
        else:
            self._wait()


@contextmanager
def stall_timer(
    loop: asyncio.AbstractEventLoop,
    waiting: Callable[[], int | None],
    give_up: Callable[[], object],
) -> Iterator[None]:
    """Run a `StallTimer` during the body of the `with` statement."""
    timer = StallTimer(loop, waiting, give_up)
    try:
        yield
    finally:
        timer.stop()
