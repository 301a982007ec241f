"""Engines that load when they are called, more of them than are awake at once."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from itertools import count
from time import monotonic

from engine.errors import EngineBusy, EngineDead, EngineError, EngineNotReady
from engine.lifecycle.loading import start, telling
from engine.lifecycle.queued_generation import QueuedGeneration
from engine.lifecycle.swap_policy import Call, Guest, Pace, choose_swap, is_open, next_change
from engine.protocol import (
    EngineState,
    Generation,
    GenerationRequest,
    Limits,
    Receiver,
    Swappable,
)
from engine.tokenization.tokenizer import Tokenizer

log = logging.getLogger(__name__)

RETRY = 15.0  # seconds until an engine that failed to load is tried again by whoever calls it


class Places:
    """At most `most` engines are awake at once; `clock` gives seconds.

    A call of an engine that is not awake waits, and the engine takes the place of the one that
    answers nobody and was used least recently. `swap_policy` says whose turn it is.
    """

    def __init__(
        self,
        most: int,
        *,
        pace: Pace = Pace(),  # noqa: B008 - it is frozen
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._most = most
        self._pace = pace
        self._clock = clock
        self._guests: list[Guest] = []
        self._tickets = count(1)
        self._swaps: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._end: asyncio.Task[None] | None = None

    def add(self, engine: Swappable, name: str, limits: Limits) -> "OnDemandEngine":
        """The engine as its callers see it; `name` is for the log."""
        guest = Guest(engine=engine, name=name, limits=limits)
        self._guests.append(guest)
        return OnDemandEngine(guest, self)

    def enter(self, guest: Guest) -> Call | None:
        """Let a call of this engine begin, if it may; `leave` is to follow.

        Otherwise return what is answered once it is its turn. Raises `EngineBusy`,
        `EngineNotReady`, `EngineDead` with the reason.
        """
        if self._end:
            raise EngineNotReady("the service ends")
        if self.has_failed(guest):
            raise EngineDead(guest.failure)
        if is_open(guest, self._guests, self._clock(), self._pace):
            guest.running += 1
            return None
        if len(guest.queue) >= guest.limits.queue:
            raise EngineBusy(f"{guest.limits.queue} calls wait for {guest.name} already")
        call: Call = asyncio.get_running_loop().create_future()
        guest.queue.append(call)
        if guest.ticket is None:
            guest.ticket = next(self._tickets)
        self.step()
        return call

    def give_up(self, guest: Guest, call: Call, *, is_wanted: bool = False) -> None:
        """Forget a call that waits, or has just been let in; `is_wanted` loads the engine yet."""
        if call in guest.queue:
            guest.queue.remove(call)
        elif call.result() is None:  # let in as it left
            self.leave(guest)
        if not (guest.queue or is_wanted):
            guest.ticket = None
        self.step()

    def leave(self, guest: Guest) -> None:
        guest.running -= 1
        guest.used = self._clock()
        self.step()

    def has_failed(self, guest: Guest) -> bool:
        """Whether its last load failed, and not so long ago that the next call tries again."""
        return guest.failure is not None and self._clock() - guest.failed_at < RETRY

    async def close(self) -> None:
        """Close all engines; whoever waits is answered `EngineNotReady`."""
        self._end = self._end or asyncio.create_task(self._close())
        await self._end

    def step(self) -> None:
        """Do all that can be done now. Called after every change."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._end:
            return
        now = self._clock()
        while swap := choose_swap(self._guests, self._most, now, self._pace):
            swap.guest.stage = "waking"
            if swap.victim:
                swap.victim.stage = "leaving"
            task = asyncio.create_task(self._swap(swap.guest, swap.victim))
            self._swaps.add(task)
            task.add_done_callback(self._swaps.discard)
        for guest in self._guests:
            if guest.queue and is_open(guest, self._guests, now, self._pace):
                guest.running += _answer(guest, lambda: None)
        change = next_change(self._guests, now, self._pace)
        if change is not None:
            self._timer = asyncio.get_running_loop().call_later(change - now, self.step)

    async def _swap(self, guest: Guest, victim: Guest | None) -> None:
        began = self._clock()
        log.info("waking %s, %d calls wait", guest.name, len(guest.queue))
        left = await self._put_away(victim) if victim else ""
        async with telling(partial(_tell_still, guest)):
            failure = await start(guest.engine, guest.name)
        now = self._clock()
        guest.failure = failure
        if failure is None:
            log.info("%s%s awake after %.1f s", left, guest.name, now - began)
            guest.stage, guest.awoke, guest.used = "awake", now, None
            if not guest.queue:  # whoever called comes again
                guest.ticket = None
        else:
            log.error("%s%s failed after %.1f s: %s", left, guest.name, now - began, failure)
            guest.stage, guest.failed_at = "away", now
            _answer(guest, lambda: EngineDead(failure))
        self.step()

    async def _put_away(self, victim: Guest) -> str:
        """How it ended, for the log."""
        idle = self._clock() - (victim.awoke if victim.used is None else victim.used)
        try:
            await victim.engine.release()
        except Exception:
            log.exception("%s did not close", victim.name)
        victim.stage = "away"
        self.step()
        state = "asleep" if victim.engine.state().status == "asleep" else "closed"
        return f"{victim.name} {state}, idle for {idle:.1f} s; "

    async def _close(self) -> None:
        for swap in self._swaps:
            swap.cancel()
        await asyncio.gather(*self._swaps, return_exceptions=True)
        for guest in self._guests:
            _answer(guest, lambda: EngineNotReady("the service ends"))
        await asyncio.gather(*(guest.engine.close() for guest in self._guests))


class OnDemandEngine:
    """One engine of `Places`, for its callers: the first call loads it.

    Its tokenizer is there before. What is refused before it begins wakes nobody.
    """

    def __init__(self, guest: Guest, places: Places) -> None:
        self.name = guest.engine.name
        self._guest = guest
        self._places = places

    async def start(self) -> None:
        """Does nothing: calls do."""

    def state(self) -> EngineState:
        guest, inner = self._guest, self._guest.engine.state()
        waiting = len(guest.queue)
        if guest.stage == "waking":
            return EngineState("loading", waiting=waiting)
        if self._places.has_failed(guest):
            return EngineState("failed", guest.failure, waiting)
        if inner.status == "failed":  # the next call tries again
            return EngineState("cold", inner.reason, waiting)
        return EngineState(inner.status, waiting=waiting)

    def running(self) -> int:
        return self._guest.running

    def tokenizer(self) -> Tokenizer:
        return self._guest.engine.read_tokenizer()

    def generate(self, request: GenerationRequest, receiver: Receiver) -> Generation:
        self._guest.engine.check(request)
        generation = QueuedGeneration(self._places, self._guest, request, receiver)
        generation.enter()
        return generation

    async def close(self) -> None:
        """Closes all that share the places."""
        await self._places.close()


def _tell_still(guest: Guest, seconds: float) -> None:
    log.info("still waking %s (%.0f s), %d calls wait", guest.name, seconds, len(guest.queue))


def _answer(guest: Guest, answer: Callable[[], EngineError | None]) -> int:
    """Answer all who wait for it, each with an error of its own; how many there are."""
    there = len(guest.queue)
    for call in guest.queue:
        call.set_result(answer())
    guest.queue.clear()
    guest.ticket = None
    return there
