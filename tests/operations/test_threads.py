"""Shared thread pools: fair, within limits, and released when calls end."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from engine.uploads.call import CURRENT_SESSION, ReadWouldBlock, UploadSession, current_session
from invoke_api.pipeline.thread_pool import SharedThreadPool
from invoke_api.wire.errors import ThrottlingException


class Work:
    """A function that returns when the test allows it."""

    def __init__(self, log: list[str], name: str) -> None:
        self._log = log
        self._name = name
        self.may_end = threading.Event()

    def __call__(self) -> str:
        self._log.append(self._name)
        self.may_end.wait(30)
        return self._name


@asynccontextmanager
async def threads(
    *, size: int = 2, per_caller: int = 1, max_waiting: int = 2
) -> AsyncIterator[SharedThreadPool]:
    made = SharedThreadPool("test", size=size, per_caller=per_caller, max_waiting=max_waiting)
    yield made
    made.close()


async def begin(made: SharedThreadPool, caller: str, work: Work) -> "asyncio.Task[str]":
    task = asyncio.create_task(made.run(caller, UploadSession(), work))
    await asyncio.sleep(0)
    return task


async def test_the_caller_with_the_fewest_threads_is_next() -> None:
    log: list[str] = []
    async with threads(size=2, per_caller=2, max_waiting=9) as made:
        works = [Work(log, name) for name in ("a1", "a2", "a3", "b1", "a4")]
        tasks = [await begin(made, work._name[0], work) for work in works]  # noqa: SLF001
        for work, task in zip(works, tasks, strict=True):
            work.may_end.set()
            await task

    assert log in (["a1", "a2", "b1", "a3", "a4"], ["a2", "a1", "b1", "a3", "a4"])


async def test_one_caller_has_no_more_than_its_share() -> None:
    log: list[str] = []
    async with threads() as made:
        first, second, other = (Work(log, name) for name in ("first", "second", "other"))
        one, two = await begin(made, "a", first), await begin(made, "a", second)
        other.may_end.set()

        assert await made.run("b", UploadSession(), other) == "other"
        assert log == ["first", "other"]
        first.may_end.set()
        second.may_end.set()
        assert (await one, await two) == ("first", "second")


async def test_a_full_queue_is_throttled_for_its_caller_alone() -> None:
    log: list[str] = []
    async with threads() as made:
        works = [Work(log, str(number)) for number in range(3)]
        tasks = [await begin(made, "a", work) for work in works]
        with pytest.raises(ThrottlingException):
            await made.run("a", UploadSession(), Work(log, "too many"))
        other = Work(log, "other")
        other.may_end.set()

        assert await made.run("b", UploadSession(), other) == "other"
        for work in works:
            work.may_end.set()
        await asyncio.gather(*tasks)


async def test_a_call_that_is_cancelled_gives_up_its_place_and_what_it_reads() -> None:
    log: list[str] = []
    async with threads(size=1) as made:
        running, waiting, last = (Work(log, name) for name in ("running", "waiting", "last"))
        call = UploadSession()
        one = asyncio.create_task(made.run("a", call, running))
        await asyncio.sleep(0)
        two, three = await begin(made, "b", waiting), await begin(made, "c", last)
        for task in (one, two):
            task.cancel()
        await asyncio.wait([one, two])

        assert (one.cancelled(), two.cancelled(), call.is_cancelled) == (True, True, True)
        assert not three.done()  # the thread is busy still
        running.may_end.set()
        last.may_end.set()
        assert await three == "last"
        assert log == ["running", "last"]


async def test_a_thread_goes_past_a_call_that_is_cancelled_in_the_same_round() -> None:
    log: list[str] = []
    async with threads(size=1, per_caller=1, max_waiting=9) as made:
        first, gone, last = (Work(log, name) for name in ("first", "gone", "last"))
        last.may_end.set()
        running = await begin(made, "a", first)
        waiting = await begin(made, "a", gone)
        behind = await begin(made, "b", last)
        first.may_end.set()
        time.sleep(0.1)  # noqa: ASYNC251 - the thread ends while the loop stands still
        # Cancelled in the loop iteration before the thread becomes free, and not notified yet.
        asyncio.get_running_loop().call_soon(waiting.cancel)

        assert await running == "first"
        assert await asyncio.wait_for(behind, 10) == "last"
        assert await asyncio.wait_for(await begin(made, "a", last), 10) == "last"
        assert waiting.cancelled()
        assert "gone" not in log


async def test_work_knows_its_call() -> None:
    call = UploadSession()
    async with threads() as made:
        assert await made.run("a", call, CURRENT_SESSION.get) is call


async def test_work_without_a_call_reads_no_uploads() -> None:
    async with threads() as made:
        with pytest.raises(ReadWouldBlock):
            await made.run("a", None, current_session)
