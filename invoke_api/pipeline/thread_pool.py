"""Pools of threads that callers share: no caller can block the calls of the others."""

import asyncio
import os
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import TypeVar

from engine.uploads.call import CURRENT, NOWHERE, Call
from engine.uploads.limits import MOST_WORKERS
from engine.uploads.pool import WORKERS
from invoke_api.wire.errors import ThrottlingException

T = TypeVar("T")

BODY_THREADS = min(32, (os.cpu_count() or 1) + 4)  # as many as asyncio has by default
# Calls of one caller that may wait for a thread. Guess: Bedrock throttles further calls.
MOST_LONG_BODIES = 1_024
MOST_UPLOADS = 256


class Threads:
    """A pool of `most` threads.

    One caller has at most `of_one` of them, and at most `waiting` of its calls wait. The caller
    with the fewest threads gets the next one, and among equals the one that has waited longest.
    """

    def __init__(self, name: str, *, most: int, of_one: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(most, thread_name_prefix=name)  # starts none yet
        self._free = most
        self._of_one = of_one
        self._most_waiting = waiting
        self._running: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def run(self, caller: str, call: Call | None, work: Callable[[], T]) -> T:
        """Return the result of `work`. If cancelled, end the uploads that `call` reads.

        The caller keeps the thread until `work` has returned. Raise `ThrottlingException` when too
        many of its calls wait. Without a `call`, raise `ReadElsewhere` when `work` has uploads.
        """
        await self._enter(caller)
        context = copy_context()
        context.run(CURRENT.set, call or NOWHERE)
        loop = asyncio.get_running_loop()
        done = loop.run_in_executor(self._pool, context.run, work)
        done.add_done_callback(lambda _: self._leave(caller))
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            if call:
                call.cancel()
            raise

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _enter(self, caller: str) -> None:
        if self._free and self._running[caller] < self._of_one:
            self._take(caller)
            return
        queue = self._waiting.setdefault(caller, deque())
        if len(queue) >= self._most_waiting:
            raise ThrottlingException
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it had its turn at the same moment
                self._leave(caller)
            elif caller in self._waiting:
                self._forget(caller, turn)
            raise

    def _take(self, caller: str) -> None:
        self._free -= 1
        self._running[caller] += 1

    def _leave(self, caller: str) -> None:
        self._free += 1
        self._running[caller] -= 1
        if not self._running[caller]:
            del self._running[caller]
        self._call_in_next()

    def _call_in_next(self) -> None:
        """Give the free thread to the next caller. Skip calls that have been cancelled."""
        while able := [each for each in self._waiting if self._running[each] < self._of_one]:
            caller = min(able, key=self._running.__getitem__)
            queue = self._waiting.pop(caller)
            turn = queue.popleft()
            if queue:  # behind the others
                self._waiting[caller] = queue
            if not turn.done():
                self._take(caller)
                turn.set_result(None)
                return

    def _forget(self, caller: str, turn: asyncio.Future[None]) -> None:
        queue = self._waiting[caller]
        with suppress(ValueError):  # it was skipped
            queue.remove(turn)
        if not queue:
            del self._waiting[caller]


def _threads_of_bodies() -> Threads:
    half = max(1, BODY_THREADS // 2)
    return Threads("body", most=BODY_THREADS, of_one=half, waiting=MOST_LONG_BODIES)


def _threads_of_uploads() -> Threads:
    """Return a pool of as many threads as there are workers, so that none waits for a worker."""
    of_one = MOST_WORKERS - 1
    return Threads("uploads", most=MOST_WORKERS, of_one=of_one, waiting=MOST_UPLOADS)


@dataclass(frozen=True, slots=True)
class SharedThreads:
    """Threads for long bodies, and others for uploads, which take longer."""

    bodies: Threads = field(default_factory=_threads_of_bodies)
    uploads: Threads = field(default_factory=_threads_of_uploads)

    def close(self) -> None:
        self.bodies.close()
        self.uploads.close()
        WORKERS.close()
