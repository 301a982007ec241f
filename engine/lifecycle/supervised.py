"""Supervision of an engine: it is started again after a failure."""

import asyncio
import logging
from collections.abc import Callable
from time import monotonic

from engine.lifecycle.backoff import Backoff, Restarts
from engine.lifecycle.loading import load, start
from engine.protocol import Engine, EngineState, Generation, GenerationRequest, Receiver
from engine.tokenization.tokenizer import Tokenizer

log = logging.getLogger(__name__)

CHECK_SECONDS = 0.5  # between two checks whether the engine still runs


class SupervisedEngine:
    """One supervised engine, as its callers see it. `names` are its models, for the log.

    Between a failure and the next start its state is `failed`, with the reason and `retry_in`.
    """

    def __init__(
        self,
        engine: Engine,
        names: str,
        *,
        backoff: Backoff = Backoff(),  # noqa: B008 - it is frozen
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.name = engine.name
        self._engine = engine
        self._names = names
        self._backoff = backoff
        self._clock = clock
        self._failure: str | None = None
        self._next_start: float | None = None
        self._is_reloading = False
        self._supervising: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Load the engine, and supervise it until it is closed."""
        self._failure = await start(self._engine, self._names)
        self._supervising = asyncio.create_task(self._supervise())

    def state(self) -> EngineState:
        if self._is_reloading:  # the engine may still be closing its last processes
            return EngineState("loading")
        if self._failure is None:
            return self._engine.state()
        at = self._next_start
        retry_in = None if at is None else max(0.0, at - self._clock())
        return EngineState("failed", self._failure, retry_in=retry_in)

    def running(self) -> int:
        return self._engine.running()

    def tokenizer(self) -> Tokenizer:
        self.state().check_ready()
        return self._engine.tokenizer()

    def generate(self, request: GenerationRequest, receiver: Receiver) -> Generation:
        return self._engine.generate(request, receiver)

    async def close(self) -> None:
        if self._supervising:
            self._supervising.cancel()
            await asyncio.wait([self._supervising])
        await self._engine.close()

    async def _supervise(self) -> None:
        restarts = Restarts(self._backoff)
        while True:
            if self._failure is None:
                restarts.note_ready(self._clock())
                self._failure = await self._until_dead()
                log.error("%s: %s", self._names, self._failure)
            pause = restarts.note_failure(self._clock())
            if pause is None:
                log.error("%s: not started again, for it was never ready", self._names)
                return
            log.info("%s: started again in %g s", self._names, pause)
            self._next_start = self._clock() + pause
            await asyncio.sleep(pause)
            await self._reload()

    async def _until_dead(self) -> str:
        while (state := self._engine.state()).status == "ready":  # noqa: ASYNC110 - vLLM sets no event
            await asyncio.sleep(CHECK_SECONDS)
        return state.reason or f"it is {state.status}"

    async def _reload(self) -> None:
        self._next_start = None
        self._is_reloading = True
        try:
            self._failure = await load(self._engine, self._names)
        finally:
            self._is_reloading = False
