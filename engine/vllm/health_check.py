"""A look, again and again, at one vLLM engine: whether its core answers, and its calls go on."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from engine.lifecycle.loading import in_thread
from engine.protocol import Limits
from engine.vllm.cores import take_for_dead
from engine.vllm.processes import Family
from engine.vllm.pulse import Pulse

if TYPE_CHECKING:
    from vllm.v1.engine.async_llm import AsyncLLM

LOOK = 1.0  # seconds between two looks for answers that have stopped
ROUND = 2.0  # seconds between two questions to the core, and two looks at its processes


class Watch:
    """Beside one `AsyncLLM`, from its load to its end; in the loop that it serves.

    `family` are its processes, None where another process runs them and judges: `on_silent` tells
    that one. `on_hung` is called once, with the reason, when the core counts as hanging. Calls end
    then, and the core is killed. While `is_ready` is false, the core is not asked.
    """

    def __init__(
        self,
        llm: "AsyncLLM",
        limits: Limits,
        family: Family | None,
        *,
        is_ready: Callable[[], bool],
        on_silent: Callable[[], None],
        on_hung: Callable[[str], None],
    ) -> None:
        self._llm = llm
        self._limits = limits
        self._family = family
        self._pulse = Pulse(limits)
        self._is_ready = is_ready
        self._on_silent = on_silent
        self._on_hung = on_hung
        self._tasks = [asyncio.create_task(self._end_silent()), asyncio.create_task(self._guard())]

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _end_silent(self) -> None:
        """Between two tokens, no more time may pass than before the first.

        A core on another machine may be gone, and nobody else would notice.
        """
        while True:
            await asyncio.sleep(LOOK)
            outputs: Any = self._llm.output_processor
            outputs.end_silent(monotonic() - self._limits.first_token_seconds)

    async def _guard(self) -> None:
        """End a core that hangs: as its process is there, vLLM notices nothing."""
        self._on_hung(await until_hung(self._ask, self._judge))
        take_for_dead(self._llm)
        if self._family:
            await in_thread(self._family.kill)

    async def _ask(self) -> object:
        # vLLM answers this between two steps, without asking its workers.
        return await self._llm.is_sleeping() if self._is_ready() else None

    async def _judge(self, elapsed: float, is_silent: bool) -> str | None:  # noqa: FBT001 - see until_hung
        if not self._is_ready():
            return None
        if is_silent:
            self._on_silent()
        if not self._family:
            return None
        sighting = await in_thread(self._family.look)
        return self._pulse.judge(elapsed, sighting, is_silent=is_silent)


async def until_hung(
    ask: Callable[[], Coroutine[Any, Any, object]],
    judge: Callable[[float, bool], Awaitable[str | None]],
) -> str:
    """Return why the core hangs, once `judge` says so.

    `ask` returns once the core has answered; what it raises is an answer, too. `judge` gets the
    seconds since its last call, and whether the core still owes an answer.
    """
    asked: asyncio.Task[object] | None = None
    began = monotonic()
    try:
        while True:
            if asked is None or asked.done():
                asked = asyncio.create_task(_quietly(ask))
            await asyncio.sleep(ROUND)
            # This process may have stood still itself; the answer is then there, and not yet read.
            elapsed, began = min(monotonic() - began, 2 * ROUND), monotonic()
            if reason := await judge(elapsed, not asked.done()):
                return reason
    finally:
        if asked:
            asked.cancel()


async def _quietly(ask: Callable[[], Coroutine[Any, Any, object]]) -> object:
    with suppress(Exception):  # vLLM raises many kinds; its own client notices a core that has died
        return await ask()
    return None
