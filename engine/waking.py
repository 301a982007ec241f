"""How a coroutine that waits is woken: in asyncio's next round, or at once.

asyncio makes a future for each wait and a round of its loop for each waking, which together cost as
much as all else that is done for a token. Who steps a coroutine by hand can do without both.
"""

import asyncio
from collections.abc import Callable


class Bell(asyncio.Future[None]):
    """What a waiting coroutine yields: to a task a future; who steps it by hand may listen instead.

    The listener is called in the midst of what whoever rings is doing, and raises nothing.
    """

    listener: Callable[[], None] | None = None


class Waking:
    """Something that one coroutine at a time waits for, again and again, in this loop's thread."""

    __slots__ = ("_bell", "_loop")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._bell = Bell(loop=self._loop)

    def ring(self) -> None:
        """Wake who waits, if anybody does."""
        if self._bell.listener:
            self._bell.listener()
        elif not self._bell.done():
            self._bell.set_result(None)

    def next_ring(self) -> Bell:
        """What a generator-based coroutine yields to wait.

        It may ring for nothing: ask then whether what is waited for is there.
        """
        if self._bell.done():
            self._bell = Bell(loop=self._loop)
        self._bell._asyncio_future_blocking = True  # as `Future.__await__` does  # noqa: SLF001
        return self._bell
