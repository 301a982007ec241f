"""Coroutines by hand: what is ready is taken at once, what waits is awaited like any other.

What waits for a bell goes on in the midst of whoever rings.
"""

import asyncio
import time
from collections.abc import Generator
from types import coroutine

import pytest

from engine.waking import Bell, Waking
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


class Line(Waking):
    """Numbers, until one is None."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers: list[int | None] = []

    def put(self, *numbers: int | None) -> None:
        self._numbers += numbers
        self.ring()

    @coroutine
    def take(self) -> Generator[Bell, None, int | None]:
        while not self._numbers:
            yield self.next_ring()
        return self._numbers.pop(0)


async def test_a_timeout_holds_though_the_bell_rings_in_the_same_round() -> None:
    line = Line()

    async def late() -> str:
        try:
            async with asyncio.timeout(0.01):
                await line.take()
        except TimeoutError:
            return "late"
        return "in time"

    async def run() -> str:
        step = begin(late())
        assert isinstance(step, Pending)
        # After the timeout's own call in the same round, and before the task has heard of it.
        asyncio.get_running_loop().call_later(0.01, line.put, 1)
        time.sleep(0.02)  # noqa: ASYNC251 - so that both are due at once
        return await step

    assert await asyncio.create_task(run()) == "late"


class Reader:
    """Sums up what comes; `lag` seconds after each that is above 9."""

    def __init__(self, line: Line, lag: float = 0.0) -> None:
        self.line = line
        self.seen: list[int] = []
        self.ended = ""
        self._lag = lag

    async def read(self) -> int:
        try:
            while (number := await self.line.take()) is not None:
                self.seen.append(number)
                if number < 0:
                    raise ZeroDivisionError
                if number > 9:
                    await asyncio.sleep(self._lag)
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise
        return sum(self.seen)


async def drive(reader: Reader) -> int:
    step = begin(reader.read())
    assert isinstance(step, Pending)
    return await step


async def started(reader: Reader) -> asyncio.Task[int]:
    task = asyncio.create_task(drive(reader))
    await asyncio.sleep(0)
    return task


async def test_a_bell_is_heard_in_the_midst_of_who_rings() -> None:
    reader = Reader(Line())
    task = await started(reader)
    reader.line.put(1)
    assert reader.seen == [1]
    reader.line.put(2, 3)
    assert reader.seen == [1, 2, 3]
    reader.line.put(None)

    assert await task == 6


async def test_between_bells_it_waits_like_any_other() -> None:
    reader = Reader(Line(), lag=0.01)
    task = await started(reader)
    reader.line.put(10)
    reader.line.put(11, 1)
    assert reader.seen == [10]
    await asyncio.sleep(0.05)
    assert reader.seen == [10, 11, 1]
    reader.line.put(2)
    assert reader.seen == [10, 11, 1, 2]
    reader.line.put(None)

    assert await task == 24


async def test_a_bell_rung_before_anybody_listens_is_heard() -> None:
    reader = Reader(Line())
    step = begin(reader.read())
    assert isinstance(step, Pending)
    reader.line.put(4, None)

    assert await step == 4


async def test_an_error_goes_to_who_awaits_and_not_to_who_rings() -> None:
    reader = Reader(Line())
    task = await started(reader)
    reader.line.put(-1)

    with pytest.raises(ZeroDivisionError):
        await task


async def test_a_cancellation_reaches_what_waits_for_a_bell() -> None:
    reader = Reader(Line())
    task = await started(reader)
    reader.line.put(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    reader.line.put(2)

    assert reader.ended == "cancelled"
    assert reader.seen == [1]


async def test_a_cancellation_after_the_end_is_not_lost() -> None:
    reader = Reader(Line())
    task = await started(reader)
    reader.line.put(1, None)
    task.cancel()  # before the task hears of it

    with pytest.raises(asyncio.CancelledError):
        await task
    assert reader.seen == [1]
    assert reader.ended == ""


async def test_who_is_cancelled_hears_of_nothing_else() -> None:
    reader = Reader(Line())
    task = await started(reader)
    task.cancel()
    reader.line.put(1, None)  # before the task hears of it

    with pytest.raises(asyncio.CancelledError):
        await task
    assert reader.seen == []
    assert reader.ended == "cancelled"


async def test_a_ring_from_within_is_no_harm() -> None:
    line = Line()

    async def echo() -> int:
        number = await line.take()
        assert number is not None
        line.put(number + 1)
        following = await line.take()
        assert following is not None
        return following

    step = begin(echo())
    assert isinstance(step, Pending)
    ringing = asyncio.get_running_loop().call_soon(line.put, 1)

    assert await step == 2
    assert not ringing.cancelled()
