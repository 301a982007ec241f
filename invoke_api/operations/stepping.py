"""Coroutines driven by hand: what is ready is taken at once, without a task and without waiting."""

import asyncio
from collections.abc import Awaitable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from engine.waking import Bell

T = TypeVar("T")


@dataclass(slots=True)
class Done(Generic[T]):
    """A coroutine that had all it needed."""

    value: T


class Pending(Awaitable[T]):
    """A coroutine that waits for something; to be awaited, once, in the task that began it.

    While it waits for a `Bell` the task sleeps, and the coroutine goes on in the midst of what
    whoever rings is doing; so it must not ask there in which task it is.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, T], waits_for: Any) -> None:  # noqa: ANN401 - asyncio's
        self._coroutine = coroutine
        self._waits_for = waits_for
        self._ended: Done[T] | BaseException | None = None
        self._sleep: asyncio.Future[None] | None = None

    def __await__(self) -> Generator[Any, Any, T]:
        while self._ended is None:
            try:
                if isinstance(self._waits_for, Bell) and not self._waits_for.done():
                    yield from self._listen(self._waits_for)
                    continue
                yield self._waits_for
            except BaseException as error:  # a cancellation is the coroutine's, unless it is over
                if self._ended is not None:
                    raise
                self._step(error)
            else:
                self._step()
        if isinstance(self._ended, Done):
            return self._ended.value
        raise self._ended

    def _listen(self, bell: Bell) -> Generator[Any, Any, None]:
        """Sleep until it is over, or waits for something else."""
        sleep = self._sleep = asyncio.get_running_loop().create_future()
        bell.listener = self._go_on
        try:
            yield from sleep
        finally:
            bell.listener = None

    def _go_on(self) -> None:
        bell = self._waits_for
        bell.listener = None  # it may ring again meanwhile
        if self._sleep and self._sleep.done():  # the task is being cancelled, and is to hear of it
            bell.set_result(None)
            return
        self._step()
        if self._waits_for is bell:
            bell.listener = self._go_on
        elif self._sleep and not self._sleep.done():
            self._sleep.set_result(None)

    def _step(self, thrown: BaseException | None = None) -> None:
        """As far as the coroutine gets, which is to its end or to what it waits for next."""
        try:
            if thrown is None:
                self._waits_for = self._coroutine.send(None)
            else:
                self._waits_for = self._coroutine.throw(thrown)
        except StopIteration as stop:
            self._waits_for, self._ended = None, Done(stop.value)
        except BaseException as error:  # noqa: BLE001 - raised where it is awaited
            self._waits_for, self._ended = None, error


def begin(coroutine: Coroutine[Any, Any, T]) -> Done[T] | Pending[T]:
    """Run it to its end, or to the first thing that it must wait for. Raises what it raises."""
    try:
        waits_for = coroutine.send(None)
    except StopIteration as stop:
        return Done(stop.value)
    return Pending(coroutine, waits_for)
