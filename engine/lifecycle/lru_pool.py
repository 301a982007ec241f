"""A pool of engines that load when they are called, and share a limited number of slots."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from itertools import count
from time import monotonic

from engine.errors import EngineBusy, EngineDead, EngineError, EngineNotReady
from engine.lifecycle.loading import start, telling
from engine.lifecycle.queued_generation import QueuedGeneration
from engine.lifecycle.swap_policy import (
    PooledEngine,
    SwapTimes,
    WaitingCall,
    admits_calls,
    choose_swap,
    next_eviction,
)
from engine.protocol import (
    EngineLimits,
    EngineState,
    Generation,
    GenerationRequest,
    Receiver,
    Swappable,
)
from engine.tokenization.tokenizer import Tokenizer

log = logging.getLogger(__name__)

RETRY_SECONDS = 15.0  # from a failed load until a call may start the next one


class LruPool:
    """Engines that share `slots`: at most so many are loaded at once.

    A call of an engine that is not loaded waits until it is. The engine takes a free slot, or that
    of the idle engine that was used least recently. `swap_policy` decides the order. `clock`
    returns seconds.
    """

    def __init__(
        self,
        slots: int,
        *,
        times: SwapTimes = SwapTimes(),  # noqa: B008 - it is frozen
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._slots = slots
        self._times = times
        self._clock = clock
        self._engines: list[PooledEngine] = []
        self._tickets = count(1)
        self._swaps: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    def add(self, engine: Swappable, name: str, limits: EngineLimits) -> "OnDemandEngine":
        """Add an engine, and return it as its callers see it. `name` is for the log."""
        pooled = PooledEngine(engine=engine, name=name, limits=limits)
        self._engines.append(pooled)
        return OnDemandEngine(pooled, self)

    def enter(self, pooled: PooledEngine) -> WaitingCall | None:
        """Count a call of this engine as running, and return None; `leave` must follow.

        If the call can't begin yet, return a future instead. Raises `EngineBusy` if the queue is
        full, `EngineNotReady` if the pool closes, and `EngineDead` if the last load failed.
        """
        if self._closing:
            raise EngineNotReady("the service is shutting down")
        if self.has_failed(pooled):
            raise EngineDead(pooled.failure)
        if admits_calls(pooled, self._engines, self._clock(), self._times):
            pooled.running += 1
            return None
        if len(pooled.queue) >= pooled.limits.queue:
            raise EngineBusy(f"{pooled.limits.queue} calls wait for {pooled.name} already")
        call: WaitingCall = asyncio.get_running_loop().create_future()
        pooled.queue.append(call)
        if pooled.ticket is None:
            pooled.ticket = next(self._tickets)
        self.step()
        return call

    def give_up(
        self, pooled: PooledEngine, call: WaitingCall, *, keeps_ticket: bool = False
    ) -> None:
        """Forget a waiting call, or one that was admitted at this moment.

        With `keeps_ticket` the engine is loaded even if no other call waits for it.
        """
        if call in pooled.queue:
            pooled.queue.remove(call)
        elif call.result() is None:  # admitted while it gave up
            self.leave(pooled)
        if not (pooled.queue or keeps_ticket):
            pooled.ticket = None
        self.step()

    def leave(self, pooled: PooledEngine) -> None:
        """Count a call as ended."""
        pooled.running -= 1
        pooled.used_at = self._clock()
        self.step()

    def has_failed(self, pooled: PooledEngine) -> bool:
        """Tell whether the last load failed less than `RETRY_SECONDS` ago."""
        return pooled.failure is not None and self._clock() - pooled.failed_at < RETRY_SECONDS

    async def close(self) -> None:
        """Close all engines, and end all waiting calls with `EngineNotReady`."""
        self._closing = self._closing or asyncio.create_task(self._close())
        await self._closing

    def step(self) -> None:
        """Begin all swaps and admit all calls that are possible now. Call it after every change."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._closing:
            return
        now = self._clock()
        while swap := choose_swap(self._engines, self._slots, now, self._times):
            swap.pooled.stage = "loading"
            if swap.victim:
                swap.victim.stage = "evicting"
            task = asyncio.create_task(self._swap(swap.pooled, swap.victim))
            self._swaps.add(task)
            task.add_done_callback(self._swaps.discard)
        for pooled in self._engines:
            if pooled.queue and admits_calls(pooled, self._engines, now, self._times):
                pooled.running += _answer(pooled, lambda: None)
        change = next_eviction(self._engines, now, self._times)
        if change is not None:
            self._timer = asyncio.get_running_loop().call_later(change - now, self.step)

    async def _swap(self, pooled: PooledEngine, victim: PooledEngine | None) -> None:
        began = self._clock()
        log.info("loading %s, %d calls wait", pooled.name, len(pooled.queue))
        if victim:
            await self._evict(victim)
        async with telling(partial(_log_progress, pooled)):
            failure = await start(pooled.engine, pooled.name)
        now = self._clock()
        pooled.failure = failure
        if failure is None:
            log.info("%s loaded after %.1f s", pooled.name, now - began)
            pooled.stage, pooled.loaded_at, pooled.used_at = "loaded", now, None
            if not pooled.queue:  # a client that gave up calls again
                pooled.ticket = None
        else:
            log.error("%s failed to load after %.1f s: %s", pooled.name, now - began, failure)
            pooled.stage, pooled.failed_at = "unloaded", now
            _answer(pooled, lambda: EngineDead(failure))
        self.step()

    async def _evict(self, victim: PooledEngine) -> None:
        idle = self._clock() - victim.idle_since
        try:
            await victim.engine.release()
        except Exception:
            log.exception("%s did not close", victim.name)
        victim.stage = "unloaded"
        self.step()
        state = "asleep" if victim.engine.state().status == "asleep" else "closed"
        log.info("%s evicted (%s) after %.1f s idle", victim.name, state, idle)

    async def _close(self) -> None:
        for swap in self._swaps:
            swap.cancel()
        await asyncio.gather(*self._swaps, return_exceptions=True)
        for pooled in self._engines:
            _answer(pooled, lambda: EngineNotReady("the service is shutting down"))
        await asyncio.gather(*(pooled.engine.close() for pooled in self._engines))


class OnDemandEngine:
    """One engine of an `LruPool`, as its callers see it: the first call loads it.

    Its tokenizer is available before the load. A request that is refused loads nothing.
    """

    def __init__(self, pooled: PooledEngine, pool: LruPool) -> None:
        self.name = pooled.engine.name
        self._pooled = pooled
        self._pool = pool

    async def start(self) -> None:
        """Do nothing: the first call loads the engine."""

    def state(self) -> EngineState:
        pooled, inner = self._pooled, self._pooled.engine.state()
        waiting = len(pooled.queue)
        if pooled.stage == "loading":
            return EngineState("loading", waiting=waiting)
        if self._pool.has_failed(pooled):
            return EngineState("failed", pooled.failure, waiting)
        if inner.status == "failed":  # the next call tries again
            return EngineState("cold", inner.reason, waiting)
        return EngineState(inner.status, waiting=waiting)

    def running(self) -> int:
        return self._pooled.running

    def tokenizer(self) -> Tokenizer:
        return self._pooled.engine.read_tokenizer()

    def generate(self, request: GenerationRequest, receiver: Receiver) -> Generation:
        self._pooled.engine.check(request)
        generation = QueuedGeneration(self._pool, self._pooled, request, receiver)
        generation.enter()
        return generation

    async def close(self) -> None:
        """Close the pool, with all of its engines."""
        await self._pool.close()


def _log_progress(pooled: PooledEngine, seconds: float) -> None:
    log.info("still loading %s (%.0f s), %d calls wait", pooled.name, seconds, len(pooled.queue))


def _answer(pooled: PooledEngine, make_answer: Callable[[], EngineError | None]) -> int:
    """End the wait of all calls in the queue, and return their number.

    Each call gets an answer of its own, because an exception that is raised keeps its traceback.
    """
    answered = len(pooled.queue)
    for call in pooled.queue:
        call.set_result(make_answer())
    pooled.queue.clear()
    pooled.ticket = None
    return answered
