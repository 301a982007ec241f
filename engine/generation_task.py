"""Generations whose tokens come from a known answer or from a coroutine."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from engine.errors import EngineError
from engine.protocol import Finish, Generation, Receiver, Row

log = logging.getLogger(__name__)

# Tokens in one push. Framing so many takes a millisecond, and the scripted engine's own answers are
# shorter.
BATCH_TOKENS = 128


class GenerationTask:
    """A generation that a coroutine produces in a task of its own.

    `produce` gets the generation and calls `push`; or it awaits `wait_for_room` before it pushes to
    the receiver itself. If it raises, the receiver gets the error. `on_end` is called once, when
    the generation is over: before the last tokens are pushed, when the coroutine ends, or when it
    is cancelled.
    """

    def __init__(
        self,
        receiver: Receiver,
        produce: Callable[["GenerationTask"], Coroutine[Any, Any, None]],
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._receiver = receiver
        self._on_end = on_end
        self._is_over = False
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._task = asyncio.create_task(self._run(produce))
        # A task that is cancelled before its first step runs no `finally`.
        self._task.add_done_callback(lambda _: self._end())

    def cancel(self) -> None:
        if not self._is_over:  # a coroutine that ends may still have to clean up
            self._end()
            self._task.cancel()

    def pause(self) -> None:
        self._has_room.clear()

    def resume(self) -> None:
        self._has_room.set()

    async def wait_for_room(self) -> None:
        """Wait while the generation is paused."""
        while not self._has_room.is_set():  # it may be paused again before this task runs
            await self._has_room.wait()

    async def push(
        self, tokens: Sequence[int], finish: Finish | None = None, rows: Sequence[Row] = ()
    ) -> None:
        """Push these tokens, `BATCH_TOKENS` at a time; the event loop runs between two batches."""
        last = max(0, (len(tokens) - 1) // BATCH_TOKENS * BATCH_TOKENS)
        for start in range(0, last, BATCH_TOKENS):
            await self.wait_for_room()
            end = start + BATCH_TOKENS
            self._receiver.push(tokens[start:end], None, rows[start:end])
            await asyncio.sleep(0)
        await self.wait_for_room()
        if finish:
            self._end()
        self._receiver.push(tokens[last:], finish, rows[last:])

    async def _run(self, produce: Callable[["GenerationTask"], Coroutine[Any, Any, None]]) -> None:
        try:
            await produce(self)
        except Exception as error:
            if self._is_over:  # its own push may have cancelled it
                if not isinstance(error, EngineError):
                    log.exception("a generation failed after it had been cancelled")
                return
            self._end()
            self._receiver.end(error)

    def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._on_end()


class _Finished:
    """A generation that is over already."""

    def cancel(self) -> None:
        pass

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass


FINISHED: Generation = _Finished()


def push_known_answer(tokens: Sequence[int], max_tokens: int, receiver: Receiver) -> Generation:
    """Push a known answer that ends with an EOS.

    A long answer is pushed in batches, and the event loop runs between them.
    """
    tokens, finish = truncate_answer(tokens, max_tokens)
    if len(tokens) <= BATCH_TOKENS:
        receiver.push(tokens, finish)
        return FINISHED

    return GenerationTask(receiver, lambda task: task.push(tokens, finish))


def truncate_answer(tokens: Sequence[int], max_tokens: int) -> tuple[Sequence[int], Finish]:
    """Return up to `max_tokens` tokens of a known answer, and its finish reason."""
    return tokens[:max_tokens], "length" if len(tokens) > max_tokens else "stop"
