"""Deadlines of calls that wait for an engine; all end at once when the engine is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from engine.errors import EngineDead


class Deadlines:
    """The waits of one engine's calls, on one event loop."""

    def __init__(self) -> None:
        self._open: set[asyncio.Timeout] = set()

    @asynccontextmanager
    async def open(self, seconds: float) -> AsyncIterator[None]:
        """Raise `TimeoutError` after `seconds`, or `EngineDead` if `end` is called before."""
        deadline = asyncio.timeout(seconds)
        try:
            async with deadline:
                self._open.add(deadline)
                yield
        except TimeoutError as error:
            if deadline not in self._open:
                raise EngineDead("the engine was lost before the first token") from error
            raise
        finally:
            self._open.discard(deadline)

    def end(self) -> None:
        """End all waits, because the engine is lost.

        vLLM itself may wait for ever: it queries the engine before its first request.
        """
        while self._open:
            with suppress(RuntimeError):  # the deadline has just passed
                self._open.pop().reschedule(0.0)
