"""Deadlines of waits for first tokens, and their common end when the engine is lost."""

import asyncio

import pytest

from engine.errors import EngineDead
from engine.lifecycle.deadlines import Deadlines


async def wait(deadlines: Deadlines, seconds: float) -> None:
    async with deadlines.open(seconds):
        await asyncio.Event().wait()


async def test_a_wait_passes_in_its_time() -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(wait(Deadlines(), 0.01), timeout=5)


async def test_what_comes_in_time_ends_it() -> None:
    deadlines = Deadlines()
    async with deadlines.open(5):
        pass
    deadlines.end()


async def test_all_end_at_once_when_the_engine_is_lost() -> None:
    deadlines = Deadlines()
    waits = [asyncio.create_task(wait(deadlines, 60)) for _ in range(3)]
    await asyncio.sleep(0)
    deadlines.end()
    ended = await asyncio.wait_for(asyncio.gather(*waits, return_exceptions=True), timeout=5)

    assert [type(each) for each in ended] == [EngineDead] * 3


async def test_one_that_passes_at_this_moment_is_no_mistake() -> None:
    deadlines = Deadlines()
    waiting = asyncio.create_task(wait(deadlines, 0))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(deadlines.end)

    [ended] = await asyncio.gather(waiting, return_exceptions=True)
    assert type(ended) in {TimeoutError, EngineDead}
