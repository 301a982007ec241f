"""Waits for conditions in tests."""

import asyncio
import time
from collections.abc import Callable


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def until_in_loop(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for a condition while the event loop runs."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
