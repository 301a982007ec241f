"""Decide which engine to load and which to evict when not all fit in memory.

Pure; the caller passes the time. Engines are loaded in the order in which they are called.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from engine.errors import EngineError
from engine.protocol import EngineLimits, Swappable

# The result is None once the call may begin, or the error that ends it.
WaitingCall = asyncio.Future[EngineError | None]
Stage = Literal["unloaded", "loading", "loaded", "evicting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapTimes:
    """The times for which an engine keeps its slot while others wait, in seconds.

    An engine that has been loaded for `turn` takes no new calls, and is evicted when its running
    calls have ended. Before that, it is evicted after `idle` without a call, so that a client
    that calls again and again is not swapped out between two calls.
    """

    turn: float = 10.0
    idle: float = 0.25


@dataclass(slots=True, eq=False, kw_only=True)
class PooledEngine:
    """One engine with its queue of waiting calls. Times are seconds on the caller's clock.

    `ticket` orders engines that have waiting calls: the lowest number is served first. `used_at`
    is the time when its last call ended, or None if there was none since `loaded_at`. `failure`
    is why its last load failed. An engine that is `evicting` has lost its slot to another already.
    """

    engine: Swappable
    name: str
    limits: EngineLimits
    stage: Stage = "unloaded"
    running: int = 0
    queue: deque[WaitingCall] = field(default_factory=deque)
    ticket: int | None = None
    loaded_at: float = 0.0
    used_at: float | None = None
    failure: str | None = None
    failed_at: float = 0.0

    @property
    def is_ready(self) -> bool:
        return self.stage == "loaded" and not self.is_dead

    @property
    def is_dead(self) -> bool:
        """Tell whether the engine died after it was loaded. It still has its slot."""
        return self.stage == "loaded" and self.engine.state().status != "ready"

    @property
    def is_idle(self) -> bool:
        return self.stage == "loaded" and not self.running

    @property
    def idle_since(self) -> float:
        return self.loaded_at if self.used_at is None else self.used_at


class Swap(NamedTuple):
    """An engine to load, and the engine to evict for it; None if a slot is free."""

    pooled: PooledEngine
    victim: PooledEngine | None


def choose_swap(
    engines: Sequence[PooledEngine], slots: int, now: float, times: SwapTimes
) -> Swap | None:
    """Return the next possible swap, for the engine that has waited longest, or None."""
    taken = sum(each.stage in ("loading", "loaded") for each in engines)
    for wanted in engines_in_demand(engines):
        if wanted.is_dead:  # it still has its slot
            if wanted.is_idle:
                return Swap(wanted, None)
        elif wanted.stage == "unloaded":
            if taken < slots:
                return Swap(wanted, None)
            idle = [each for each in engines if each.is_idle and not _comes_before(each, wanted)]
            if victims := [each for each in idle if evictable_at(each, times) <= now]:
                return Swap(wanted, min(victims, key=lambda each: each.idle_since))
    return None


def engines_in_demand(engines: Iterable[PooledEngine]) -> list[PooledEngine]:
    """Return the engines that have waiting calls and are neither ready nor loading, by ticket."""
    waiting = [each for each in engines if each.ticket is not None]
    unserved = [each for each in waiting if each.stage != "loading" and not each.is_ready]
    return sorted(unserved, key=lambda each: each.ticket or 0)


def admits_calls(
    pooled: PooledEngine, engines: Sequence[PooledEngine], now: float, times: SwapTimes
) -> bool:
    """Tell whether a call of this engine may begin now."""
    if not pooled.is_ready:
        return False
    before = [each for each in engines_in_demand(engines) if _comes_before(each, pooled)]
    over = [each for each in engines if each.is_ready and now - each.loaded_at >= times.turn]
    # One engine stops for each that is in demand; the one that was loaded first stops first.
    return pooled not in sorted(over, key=lambda each: each.loaded_at)[: len(before)]


def evictable_at(pooled: PooledEngine, times: SwapTimes) -> float:
    """Return the time from which an idle engine may be evicted.

    An engine that has had no call since its load keeps its slot for the whole turn.
    """
    if pooled.is_dead:
        return 0.0
    end = pooled.loaded_at + times.turn
    return end if pooled.used_at is None else min(end, pooled.used_at + times.idle)


def next_eviction(engines: Sequence[PooledEngine], now: float, times: SwapTimes) -> float | None:
    """Return when the next idle engine becomes evictable; None if no engine is in demand."""
    if not engines_in_demand(engines):
        return None
    possible = [evictable_at(each, times) for each in engines if each.is_idle]
    return min((time for time in possible if time > now), default=None)


def _comes_before(one: PooledEngine, other: PooledEngine) -> bool:
    if one.ticket is None:
        return False
    return other.ticket is None or one.ticket < other.ticket
