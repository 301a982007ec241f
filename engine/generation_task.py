"""Generations whose tokens are known beforehand, or made by a coroutine."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from engine.errors import EngineError
from engine.protocol import Finish, Generation, Receiver, Row

log = logging.getLogger(__name__)

# Tokens that are pushed at once if more are there: framing them takes a millisecond, and the
# scripted engine's own answers are shorter.
BATCH = 128


class Production:
    """Runs a coroutine in a task of its own, and tells the receiver if it fails.

    `make` gets the production, and calls `push`; or it awaits `room` before it pushes to the
    receiver itself. `on_end` is called once, when the generation is over: with the last tokens that
    `push` takes, when the coroutine ends, or when it is cancelled.
    """

    def __init__(
        self,
        receiver: Receiver,
        make: Callable[["Production"], Coroutine[Any, Any, None]],
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._receiver = receiver
        self._on_end = on_end
        self._is_over = False
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._task = asyncio.create_task(self._run(make))
        # A task that is cancelled before its first step runs no `finally`.
        self._task.add_done_callback(lambda _: self._end())

    def cancel(self) -> None:
        if not self._is_over:  # else the coroutine may have to clean up
            self._end()
            self._task.cancel()

    def pause(self) -> None:
        self._has_room.clear()

    def resume(self) -> None:
        self._has_room.set()

    async def room(self) -> None:
        """Return once more may be pushed."""
        while not self._has_room.is_set():  # it may be paused again before this task wakes
            await self._has_room.wait()

    async def push(
        self, tokens: Sequence[int], finish: Finish | None = None, rows: Sequence[Row] = ()
    ) -> None:
        """Push these tokens, `BATCH` at a time; the event loop runs between two batches."""
        last = max(0, (len(tokens) - 1) // BATCH * BATCH)
        for start in range(0, last, BATCH):
            await self.room()
            end = start + BATCH
            self._receiver.push(tokens[start:end], None, rows[start:end])
            await asyncio.sleep(0)
        await self.room()
        if finish:
            self._end()
        self._receiver.push(tokens[last:], finish, rows[last:])

    async def _run(self, make: Callable[["Production"], Coroutine[Any, Any, None]]) -> None:
        try:
            await make(self)
        except Exception as error:
            if self._is_over:  # it may have been cancelled by its own push
                if not isinstance(error, EngineError):
                    log.exception("a generation failed after it had been cancelled")
                return
            self._end()
            self._receiver.end(error)

    def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._on_end()


class _Over:
    """A generation that was over before it could be cancelled."""

    def cancel(self) -> None:
        pass

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass


OVER: Generation = _Over()


def play(tokens: Sequence[int], max_tokens: int, receiver: Receiver) -> Generation:
    """Push a known answer that ends with an EOS: a short one at once, a long one in batches.

    The event loop runs between two batches.
    """
    tokens, finish = cut(tokens, max_tokens)
    if len(tokens) <= BATCH:
        receiver.push(tokens, finish)
        return OVER

    return Production(receiver, lambda production: production.push(tokens, finish))


def cut(tokens: Sequence[int], max_tokens: int) -> tuple[Sequence[int], Finish]:
    """Return the tokens of a known answer that there is room for, and how it ends then."""
    return tokens[:max_tokens], "length" if len(tokens) > max_tokens else "stop"
