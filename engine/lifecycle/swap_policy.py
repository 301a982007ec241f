"""Who may have a place when there are more engines than places: pure, on a clock it is told.

First come, first served, among engines; an engine comes when the first of its calls has to wait.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from engine.errors import EngineError
from engine.protocol import Limits, Swappable

# Set to None once the call may begin, or to what it is answered instead.
Call = asyncio.Future[EngineError | None]
Stage = Literal["away", "waking", "awake", "leaving"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Of an engine that others wait for, in seconds.

    Once it has been awake for `turn` it takes no new calls, and leaves when it has answered those
    it has. Before, it leaves when nobody has called it for `linger`: whoever calls again and again
    is not swapped out between two calls.
    """

    turn: float = 10.0
    linger: float = 0.25


@dataclass(slots=True, eq=False, kw_only=True)
class Guest:
    """An engine and its calls. All times are in seconds, on one clock.

    While it is waited for it has a `ticket`: whose number is lower came first.
    `used` is when it last ended a call, since it `awoke`. `failure` is why its last load failed.
    Who is `leaving` has given its place to another already.
    """

    engine: Swappable
    name: str
    limits: Limits
    stage: Stage = "away"
    running: int = 0
    queue: deque[Call] = field(default_factory=deque)
    ticket: int | None = None
    awoke: float = 0.0
    used: float | None = None
    failure: str | None = None
    failed_at: float = 0.0

    @property
    def is_ready(self) -> bool:
        return self.stage == "awake" and not self.is_dead

    @property
    def is_dead(self) -> bool:
        """Whether it died in its place."""
        return self.stage == "awake" and self.engine.state().status != "ready"

    @property
    def is_idle(self) -> bool:
        return self.stage == "awake" and not self.running


class Swap(NamedTuple):
    """`victim` leaves its place to `guest`, unless there is a free one."""

    guest: Guest
    victim: Guest | None


def choose_swap(guests: Sequence[Guest], places: int, now: float, pace: Pace) -> Swap | None:
    """What to do next, if anything: for the engine that has been waited for longest that can be."""
    held = sum(guest.stage in ("waking", "awake") for guest in guests)
    for guest in waited_for(guests):
        if guest.is_dead:  # it has its place
            if guest.is_idle:
                return Swap(guest, None)
        elif guest.stage == "away":
            if held < places:
                return Swap(guest, None)
            idle = [each for each in guests if each.is_idle and not _comes_before(each, guest)]
            if victims := [each for each in idle if leaves_at(each, pace) <= now]:
                return Swap(guest, min(victims, key=_last_used))
    return None


def waited_for(guests: Iterable[Guest]) -> list[Guest]:
    """The engines that calls wait for and nothing is done for yet, the first come first."""
    waiting = [guest for guest in guests if guest.ticket is not None]
    idle = [guest for guest in waiting if guest.stage != "waking" and not guest.is_ready]
    return sorted(idle, key=lambda guest: guest.ticket or 0)


def is_open(guest: Guest, guests: Sequence[Guest], now: float, pace: Pace) -> bool:
    """Whether a call of this engine may begin now."""
    if not guest.is_ready:
        return False
    before = [each for each in waited_for(guests) if _comes_before(each, guest)]
    over = [each for each in guests if each.is_ready and now - each.awoke >= pace.turn]
    # As many as are waited for make room, those first that woke first.
    return guest not in sorted(over, key=lambda each: each.awoke)[: len(before)]


def leaves_at(guest: Guest, pace: Pace) -> float:
    """When an idle engine may leave its place. One that woke for nobody keeps its turn."""
    if guest.is_dead:
        return 0.0
    end = guest.awoke + pace.turn
    return end if guest.used is None else min(end, guest.used + pace.linger)


def next_change(guests: Sequence[Guest], now: float, pace: Pace) -> float | None:
    """When an idle engine may leave that may not yet, if one is to."""
    if not waited_for(guests):
        return None
    times = [leaves_at(guest, pace) for guest in guests if guest.is_idle]
    return min((time for time in times if time > now), default=None)


def _comes_before(one: Guest, other: Guest) -> bool:
    if one.ticket is None:
        return False
    return other.ticket is None or one.ticket < other.ticket


def _last_used(guest: Guest) -> float:
    return guest.awoke if guest.used is None else guest.used
