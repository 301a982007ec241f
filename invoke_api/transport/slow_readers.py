"""Clients that are there and take nothing: given up in time, for they hold a call of a model."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STALLED = 60.0  # seconds; guess: as long as SDKs wait for an answer
LOOKS = 4  # in that time


class Watch:
    """Calls `give_up` when a client has taken none of what is `waiting` for it, in bytes, for
    `STALLED` seconds. One that takes little by little may take as long as it likes, and so may one
    for which nothing is, None.
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
        self._same = 0  # looks that have found nothing new
        self._wait()

    def stop(self) -> None:
        self._timer.cancel()

    def _wait(self) -> None:
        self._timer = self._loop.call_later(STALLED / LOOKS, self._look)

    def _look(self) -> None:
        now = self._waiting()
        self._same = self._same + 1 if now is not None and now == self._last else 0
        self._last = now
        if self._same == LOOKS:
            self._give_up()
        else:
            self._wait()


@contextmanager
def watched(
    loop: asyncio.AbstractEventLoop,
    waiting: Callable[[], int | None],
    give_up: Callable[[], object],
) -> Iterator[None]:
    """A `Watch` over what is waited for inside."""
    watch = Watch(loop, waiting, give_up)
    try:
        yield
    finally:
        watch.stop()
