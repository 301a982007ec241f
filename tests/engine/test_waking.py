"""Waking: a task is woken in the next round, whoever steps by hand at once."""

import asyncio
from collections.abc import Generator
from types import coroutine

import pytest

from engine.waking import Bell, Waking
from tests.waiting import taken


class Box(Waking):
    """Holds one thing at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.things: list[str] = []

    def put(self, thing: str) -> None:
        self.things.append(thing)
        self.ring()

    @coroutine
    def take(self) -> Generator[Bell, None, str]:
        while not self.things:
            yield self.next_ring()
        return self.things.pop(0)


async def test_a_task_is_woken_each_time() -> None:
    box = Box()
    for thing in "one", "two":
        taking = asyncio.create_task(taken(box))
        await asyncio.sleep(0)
        assert not taking.done()
        box.put(thing)
        assert await taking == thing


async def test_what_was_rung_before_is_there() -> None:
    box = Box()
    box.put("one")

    assert await box.take() == "one"


async def test_it_may_ring_for_nothing() -> None:
    box = Box()
    taking = asyncio.create_task(taken(box))
    await asyncio.sleep(0)
    box.ring()
    await asyncio.sleep(0)
    box.put("late")

    assert await taking == "late"


async def test_a_cancelled_wait_is_over_and_the_next_one_works() -> None:
    box = Box()
    taking = asyncio.create_task(taken(box))
    await asyncio.sleep(0)
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    taking = asyncio.create_task(taken(box))
    await asyncio.sleep(0)
    box.put("one")

    assert await taking == "one"


async def test_a_time_limit_ends_the_wait() -> None:
    box = Box()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await box.take()


async def test_who_listens_hears_at_once() -> None:
    box = Box()
    heard: list[str] = []
    bell = box.take().send(None)
    bell.listener = lambda: heard.append("rung")
    box.put("one")

    assert heard == ["rung"]
