"""How long calls may wait for their first tokens, and the end of all these waits at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from engine.errors import EngineDead


class Deadlines:
    """The waits of one engine's calls, in this loop."""

    def __init__(self) -> None:
        self._open: set[asyncio.Timeout] = set()

    @asynccontextmanager
    async def open(self, seconds: float) -> AsyncIterator[None]:
        """Raises `TimeoutError` when they have passed, and `EngineDead` if `end` comes before."""
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
        """The engine is lost. vLLM may wait for ever: for what it asks before its first request."""
        while self._open:
            with suppress(RuntimeError):  # one that passes at this moment
                self._open.pop().reschedule(0.0)
