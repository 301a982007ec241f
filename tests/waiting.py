"""Waiting in tests for what is true a moment later only."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

T_co = TypeVar("T_co", covariant=True)


class Takeable(Protocol[T_co]):
    def take(self) -> Awaitable[T_co]: ...


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def until_in_loop(condition: Callable[[], bool], seconds: float = 10) -> None:
    """The same, while the loop runs."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def taken(source: Takeable[T_co]) -> T_co:
    """For a task: from Python 3.12 on, none is made of a generator-based coroutine."""
    return await source.take()
