"""Thread pools that are shared fairly between callers."""

import asyncio
import os
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from engine.uploads.call import CURRENT_SESSION, NO_UPLOADS, UploadSession
from engine.uploads.limits import MAX_WORKERS
from engine.uploads.pool import WORKERS
from invoke_api.wire.errors import ThrottlingException

Result = TypeVar("Result")  # of the work that is run

BODY_THREADS = min(32, (os.cpu_count() or 1) + 4)  # asyncio's default
# Calls of one caller that may wait for a thread. Guess: Bedrock would throttle more.
MAX_WAITING_BODIES_PER_CALLER = 1_024
MAX_WAITING_UPLOADS_PER_CALLER = 256


class SharedThreadPool:
    """A pool of `size` threads.

    One caller runs at most `per_caller` of them, and at most `max_waiting` of its calls wait. The
    next free thread goes to the caller with the fewest threads, and among equals to the one that
    has waited longest.
    """

    def __init__(self, name: str, *, size: int, per_caller: int, max_waiting: int) -> None:
        self._pool = ThreadPoolExecutor(size, thread_name_prefix=name)  # starts none yet
        self._free = size
        self._per_caller = per_caller
        self._max_waiting = max_waiting
        self._running: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def run(
        self, caller: str, call: UploadSession | None, work: Callable[[], Result]
    ) -> Result:
        """Return the result of `work`. If cancelled, end the uploads that `call` reads.

        The thread counts for the caller until `work` has returned. Raises `ThrottlingException` if
        too many of the caller's calls wait, and `ReadWouldBlock` if `work` finds uploads and there
        is no `call`.
        """
        await self._enter(caller)
        context = copy_context()
        context.run(CURRENT_SESSION.set, call or NO_UPLOADS)
        loop = asyncio.get_running_loop()
        done = loop.run_in_executor(self._pool, context.run, work)
        done.add_done_callback(partial(self._note_done, caller))
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            if call:
                call.cancel()
            raise

    def _note_done(self, caller: str, done: asyncio.Future[Any]) -> None:
        self._leave(caller)
        if not done.cancelled():
            # Nobody awaits the work of a cancelled call, and asyncio logs an error that nobody
            # retrieves.
            done.exception()

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _enter(self, caller: str) -> None:
        if self._free and self._running[caller] < self._per_caller:
            self._take(caller)
            return
        queue = self._waiting.setdefault(caller, deque())
        if len(queue) >= self._max_waiting:
            raise ThrottlingException
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it got a thread at the same moment
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
        self._start_next()

    def _start_next(self) -> None:
        """Give the free thread to the next caller. Skip calls that have been cancelled."""
        while able := [each for each in self._waiting if self._running[each] < self._per_caller]:
            caller = min(able, key=self._running.__getitem__)
            queue = self._waiting.pop(caller)
            turn = queue.popleft()
            if queue:  # now behind the other callers
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


def _body_threads() -> SharedThreadPool:
    half, waiting = max(1, BODY_THREADS // 2), MAX_WAITING_BODIES_PER_CALLER
    return SharedThreadPool("body", size=BODY_THREADS, per_caller=half, max_waiting=waiting)


def _upload_threads() -> SharedThreadPool:
    """Return a pool of one thread for each upload worker, so that no thread waits."""
    return SharedThreadPool(
        "uploads",
        size=MAX_WORKERS,
        per_caller=MAX_WORKERS - 1,
        max_waiting=MAX_WAITING_UPLOADS_PER_CALLER,
    )


@dataclass(frozen=True, slots=True)
class ThreadPools:
    """The thread pools of one process: for long bodies, and for uploads, which take longer."""

    bodies: SharedThreadPool = field(default_factory=_body_threads)
    uploads: SharedThreadPool = field(default_factory=_upload_threads)

    def close(self) -> None:
        self.bodies.close()
        self.uploads.close()
        WORKERS.close()
