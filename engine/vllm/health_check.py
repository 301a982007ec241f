"""Periodic health check of one vLLM engine: its core must answer, and its calls must proceed."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from engine.lifecycle.loading import in_thread
from engine.protocol import EngineLimits
from engine.vllm.cores import mark_dead
from engine.vllm.processes import ProcessTree
from engine.vllm.pulse import HangDetector

if TYPE_CHECKING:
    from vllm.v1.engine.async_llm import AsyncLLM

SILENCE_CHECK_SECONDS = 1.0  # between two checks for generations that have stalled
HANG_CHECK_SECONDS = 2.0  # between two requests to the core, and two samples of its processes


class HealthCheck:
    """The health check of one `AsyncLLM`, from its load to its end, in its event loop.

    `tree` are its processes. It is None if another process runs them and detects hangs; `on_silent`
    is called then while the core does not answer. `on_hung` is called once, with the reason, when
    the core hangs; its calls end, and it is killed. While `is_ready` is false, it is not asked.
    """

    def __init__(
        self,
        llm: "AsyncLLM",
        limits: EngineLimits,
        tree: ProcessTree | None,
        *,
        is_ready: Callable[[], bool],
        on_silent: Callable[[], None],
        on_hung: Callable[[str], None],
    ) -> None:
        self._llm = llm
        self._limits = limits
        self._tree = tree
        self._detector = HangDetector(limits)
        self._is_ready = is_ready
        self._on_silent = on_silent
        self._on_hung = on_hung
        self._tasks = [asyncio.create_task(self._end_silent()), asyncio.create_task(self._guard())]

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _end_silent(self) -> None:
        """End generations that wait longer for their next token than for the first.

        Nothing else notices the loss of a core on another machine.
        """
        while True:
            await asyncio.sleep(SILENCE_CHECK_SECONDS)
            outputs: Any = self._llm.output_processor
            outputs.end_silent(monotonic() - self._limits.first_token_seconds)

    async def _guard(self) -> None:
        """End a core that hangs; vLLM notices only cores whose process has ended."""
        self._on_hung(await until_hung(self._ask, self._judge))
        mark_dead(self._llm)
        if self._tree:
            await in_thread(self._tree.kill)

    async def _ask(self) -> object:
        # The core answers this between two steps, without its workers.
        return await self._llm.is_sleeping() if self._is_ready() else None

    async def _judge(self, elapsed: float, is_silent: bool) -> str | None:  # noqa: FBT001 - see until_hung
        if not self._is_ready():
            return None
        if is_silent:
            self._on_silent()
        if not self._tree:
            return None
        sample = await in_thread(self._tree.sample)
        return self._detector.judge(elapsed, sample, is_silent=is_silent)


async def until_hung(
    ask: Callable[[], Coroutine[Any, Any, object]],
    judge: Callable[[float, bool], Awaitable[str | None]],
) -> str:
    """Return why the core hangs, once `judge` says so.

    `ask` returns or raises once the core has answered. `judge` gets the seconds since its last
    call, and whether an answer is still due.
    """
    asked: asyncio.Task[object] | None = None
    began = monotonic()
    try:
        while True:
            if asked is None or asked.done():
                asked = asyncio.create_task(_quietly(ask))
            await asyncio.sleep(HANG_CHECK_SECONDS)
            # This process may have stalled itself; then the answer has arrived but is not read yet.
            elapsed, began = min(monotonic() - began, 2 * HANG_CHECK_SECONDS), monotonic()
            if reason := await judge(elapsed, not asked.done()):
                return reason
    finally:
        if asked:
            asked.cancel()


async def _quietly(ask: Callable[[], Coroutine[Any, Any, object]]) -> object:
    with suppress(Exception):  # vLLM raises many kinds; its client handles a core that has died
        return await ask()
    return None
