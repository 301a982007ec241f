"""Restarts of a stub engine that dies or does not load."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from engine.errors import EngineDead, EngineNotReady
from engine.lifecycle import loading, supervised
from engine.lifecycle.backoff import Backoff
from engine.lifecycle.supervised import SupervisedEngine
from engine.protocol import EngineState, GenerationRequest
from tests.support.receiving import text_of
from tests.support.stubs import SwappedStub
from tests.support.waiting import until_in_loop

REQUEST = GenerationRequest(request_id="r", prompt=(1,), max_tokens=1)
QUICK = Backoff(first=0.01, tries=3)
SLOW = Backoff(first=30.0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the waits."""
    monkeypatch.setattr(supervised, "CHECK_SECONDS", 0.001)


@asynccontextmanager
async def started(stub: SwappedStub, backoff: Backoff = QUICK) -> AsyncIterator[SupervisedEngine]:
    engine = SupervisedEngine(stub, "a", backoff=backoff, clock=lambda: 100.0)
    try:
        await engine.start()
        yield engine
    finally:
        await engine.close()
        assert stub.done[-1] == "ends"


async def test_who_died_is_started_again_and_answers(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    stub = SwappedStub()
    async with started(stub) as engine:
        assert await text_of(engine, REQUEST) == "yes"
        stub.may_load.clear()
        stub.die()
        await until_in_loop(lambda: engine.state().status == "loading")
        with pytest.raises(EngineNotReady):
            engine.tokenizer()
        stub.may_load.set()
        await until_in_loop(lambda: engine.state().status == "ready")

        assert await text_of(engine, REQUEST) == "yes"
        assert engine.tokenizer()
    assert stub.done == ["loads", "loads", "ends"]
    told = [re.sub(r"after \S+", "after 0.0", record.getMessage()) for record in caplog.records]
    assert told == [
        "a: its core has died",
        "a: started again in 0.01 s",
        "loading a",
        "ready after 0.0 s: a",
    ]


async def test_until_then_it_says_why_and_when() -> None:
    stub = SwappedStub()
    async with started(stub, SLOW) as engine:
        stub.die()
        await until_in_loop(lambda: engine.state().retry_in is not None)

        assert engine.state() == EngineState("failed", "its core has died", retry_in=30.0)
        assert not engine.state().takes_calls
        with pytest.raises(EngineDead, match="its core has died"):
            engine.tokenizer()


async def test_a_first_load_that_fails_is_tried_again() -> None:
    stub = SwappedStub()
    stub.failure = "no memory"
    async with started(stub) as engine:
        assert engine.state().reason == "no memory"
        stub.failure = None
        await until_in_loop(lambda: engine.state().status == "ready")

        assert await text_of(engine, REQUEST) == "yes"


async def test_one_that_never_loads_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    stub = SwappedStub()
    stub.failure = "no such file"
    async with started(stub) as engine:
        await until_in_loop(lambda: "not started again" in caplog.text)

        assert engine.state() == EngineState("failed", "no such file")
        assert stub.done == ["loads"] * QUICK.tries


async def test_one_that_was_ready_is_tried_for_as_long_as_it_takes() -> None:
    stub = SwappedStub()
    async with started(stub, Backoff(first=0.001, longest=0.001, tries=2)) as engine:
        stub.failure = "no memory"
        stub.die()
        await until_in_loop(lambda: len(stub.done) > 5)
        stub.failure = None
        await until_in_loop(lambda: engine.state().status == "ready")


async def test_a_bug_in_an_engine_does_not_end_it() -> None:
    stub = SwappedStub()
    async with started(stub) as engine:
        stub.bug = ZeroDivisionError("oh")
        stub.die()
        await until_in_loop(lambda: engine.state().reason == "ZeroDivisionError: oh")
        stub.bug = None
        await until_in_loop(lambda: engine.state().status == "ready")


async def test_the_end_comes_while_it_is_started_again() -> None:
    stub = SwappedStub()
    async with started(stub) as engine:
        stub.may_load.clear()
        stub.die()
        await until_in_loop(lambda: engine.state().status == "loading")

    assert stub.done == ["loads", "loads", "ends"]


async def test_what_takes_long_is_told_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(loading, "STILL_LOADING", 0.01)
    stub = SwappedStub()
    stub.may_load.clear()
    load = asyncio.create_task(loading.load(stub, "a"))
    await until_in_loop(lambda: caplog.text.count("still loading a (") >= 2)
    stub.may_load.set()

    assert await load is None
    assert "ready after" in caplog.text
