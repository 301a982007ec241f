"""Coroutines driven by hand: what is ready is taken at once, without a task and without waiting."""

from asyncio import CancelledError
from collections.abc import Awaitable, Coroutine, Generator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """A coroutine that had all it needed."""

    value: T


class Pending(Awaitable[T]):
    """A coroutine that waits for something; to be awaited, once, in the task that began it."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], waits_for: Any) -> None:  # noqa: ANN401 - asyncio's
        self._coroutine = coroutine
        self._waits_for = waits_for
        self._thrown: BaseException | None = None

    async def cancel(self) -> None:
        """Have it end, in place of awaiting it."""
        self._thrown = CancelledError()
        with suppress(CancelledError, StopAsyncIteration):
            await self

    def __await__(self) -> Generator[Any, Any, T]:
        waits_for = self._waits_for
        while True:
            thrown, self._thrown = self._thrown, None
            value = None
            if thrown is None:
                try:
                    value = yield waits_for
                except BaseException as error:  # noqa: BLE001 - a cancellation is the coroutine's
                    thrown = error
            try:
                if thrown is None:
                    waits_for = self._coroutine.send(value)
                else:
                    waits_for = self._coroutine.throw(thrown)
            except StopIteration as stop:
                result: T = stop.value
                return result


def begin(coroutine: Coroutine[Any, Any, T]) -> Done[T] | Pending[T]:
    """Run it to its end, or to the first thing that it must wait for. Raises what it raises."""
    try:
        waits_for = coroutine.send(None)
    except StopIteration as stop:
        return Done(stop.value)
    return Pending(coroutine, waits_for)
