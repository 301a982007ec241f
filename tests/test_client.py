"""The race between the work and the client that may leave."""

import asyncio

import pytest
from starlette.types import Message

from invoke_api.operations.client import Calls, ClientLeft


async def never() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


async def gone() -> Message:
    return {"type": "http.disconnect"}


async def work() -> str:
    await asyncio.sleep(0)
    return "done"


async def test_a_client_that_stays_gets_the_result() -> None:
    assert await Calls().unless_client_leaves(never, work()) == "done"


async def test_a_client_that_leaves_with_the_result_under_way_has_left() -> None:
    with pytest.raises(ClientLeft):
        await Calls().unless_client_leaves(gone, work())


async def test_work_for_a_client_that_left_is_cancelled_and_waited_for() -> None:
    ended = asyncio.Event()

    async def long_work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.set()

    with pytest.raises(ClientLeft):
        await Calls().unless_client_leaves(gone, long_work())

    assert ended.is_set()


async def test_an_error_of_the_work_is_raised() -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await Calls().unless_client_leaves(never, broken())


async def test_a_message_that_nobody_waited_for_is_left_for_the_next() -> None:
    messages: asyncio.Queue[Message] = asyncio.Queue()
    await Calls().unless_client_leaves(messages.get, work())
    messages.put_nowait({"type": "http.disconnect"})

    with pytest.raises(ClientLeft):
        await Calls().unless_client_leaves(messages.get, never())
