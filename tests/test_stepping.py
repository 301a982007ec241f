"""Coroutines by hand: what is ready is taken at once, what waits is awaited like any other."""

import asyncio

import pytest

from invoke_api.operations.stepping import Done, Pending, begin


async def ready() -> str:
    return "ready"


async def slow(log: list[str]) -> str:
    try:
        await asyncio.sleep(0)
        await asyncio.sleep(0.01)
    except asyncio.CancelledError:
        log.append("cancelled")
        raise
    return "slow"


async def test_what_is_ready_is_done() -> None:
    step = begin(ready())

    assert isinstance(step, Done)
    assert step.value == "ready"


async def test_what_waits_is_awaited() -> None:
    step = begin(slow([]))

    assert isinstance(step, Pending)
    assert await step == "slow"


async def test_an_error_is_raised_where_it_happens() -> None:
    async def broken(waits: int) -> None:
        for _ in range(waits):
            await asyncio.sleep(0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        begin(broken(0))
    step = begin(broken(2))
    assert isinstance(step, Pending)
    with pytest.raises(ZeroDivisionError):
        await step


async def test_a_cancellation_reaches_the_coroutine() -> None:
    log: list[str] = []

    async def run() -> None:
        step = begin(slow(log))
        assert isinstance(step, Pending)
        await step

    task = asyncio.create_task(run())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert log == ["cancelled"]


async def test_a_timeout_inside_holds() -> None:
    async def late() -> str:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(1)
        except TimeoutError:
            return "late"
        return "in time"

    step = begin(late())
    assert isinstance(step, Pending)
    assert await step == "late"
