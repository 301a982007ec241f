"""Generations whose tokens are known beforehand, or made by a coroutine."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from engine.protocol import Finish, Generation, Receiver

# Tokens of a known answer that are pushed at once: framing them takes a millisecond, and the
# scripted engine's own answers are shorter.
BATCH = 128


class Production:
    """Runs a coroutine in a task of its own, and tells the receiver if it fails.

    `make` gets the production, and awaits `room` before it pushes. `on_end` is called once the
    coroutine has ended, however it did.
    """

    def __init__(
        self,
        receiver: Receiver,
        make: Callable[["Production"], Coroutine[Any, Any, None]],
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self.receiver = receiver
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._task = asyncio.create_task(self._run(make))
        # A task that is cancelled before its first step runs no `finally`.
        self._task.add_done_callback(lambda _: on_end())

    def cancel(self) -> None:
        self._task.cancel()

    def pause(self) -> None:
        self._has_room.clear()

    def resume(self) -> None:
        self._has_room.set()

    async def room(self) -> None:
        """Return once more may be pushed."""
        await self._has_room.wait()

    async def _run(self, make: Callable[["Production"], Coroutine[Any, Any, None]]) -> None:
        try:
            await make(self)
        except Exception as error:  # noqa: BLE001 - the receiver raises it where it is awaited
            self.receiver.end(error)


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
    if len(tokens) <= BATCH:
        receiver.push(tokens[:max_tokens], _finish(tokens, max_tokens))
        return OVER
    return Production(receiver, lambda production: push_all(production, tokens, max_tokens))


async def push_all(production: Production, tokens: Sequence[int], max_tokens: int) -> None:
    """Push a known answer in batches, as `play` does."""
    finish, tokens = _finish(tokens, max_tokens), tokens[:max_tokens]
    for start in range(0, len(tokens), BATCH):
        await production.room()
        is_last = start + BATCH >= len(tokens)
        production.receiver.push(tokens[start : start + BATCH], finish if is_last else None)
        await asyncio.sleep(0)


def _finish(tokens: Sequence[int], max_tokens: int) -> Finish:
    return "length" if len(tokens) > max_tokens else "stop"
