"""Streaming by an iterator: deltas are read, errors are raised, closing it cancels."""

from contextlib import aclosing

import pytest

from engine.errors import EngineDead, EngineNotReady
from engine.protocol import EngineState, GenerationRequest
from engine.streaming import stream
from engine.tokenization.tokenizer import Tokenizer
from tests.support.receiving import batches_of
from tests.support.stubs import StubEngine

REQUEST = GenerationRequest(request_id="r", prompt=(1, 2), max_tokens=9)


async def test_what_comes_together_is_read_together() -> None:
    batches = await batches_of(StubEngine([" a", " b"]), REQUEST)

    assert [[delta.text for delta in batch] for batch in batches] == [[" a"], [" b"], [""]]
    assert batches[-1][-1].finish == "stop"


async def test_an_engine_that_is_not_ready_raises() -> None:
    with pytest.raises(EngineNotReady):
        await batches_of(StubEngine(state=EngineState("loading")), REQUEST)


async def test_an_error_comes_after_what_was_pushed_before() -> None:
    engine = StubEngine([" a"], pause=None, error=EngineDead("gone"))
    async with aclosing(stream(engine, REQUEST)) as deltas:
        assert [delta.text for delta in await anext(deltas)] == [" a"]
        with pytest.raises(EngineDead, match="gone"):
            await anext(deltas)


async def test_leaving_cancels() -> None:
    engine = StubEngine([" a", " b"], pause=0.01)
    async with aclosing(stream(engine, REQUEST)) as deltas:
        await anext(deltas)
        assert engine.running() == 1

    assert engine.running() == 0


async def test_tokens_that_the_tokenizer_does_not_have_are_raised_and_nothing_follows() -> None:
    class Odd(StubEngine):
        """An engine whose tokenizer lacks its tokens."""

        def tokenizer(self) -> Tokenizer:
            return StubEngine().tokenizer()

    engine = Odd([" a", " b"], pause=None)
    with pytest.raises(IndexError):
        await batches_of(engine, REQUEST)
    assert engine.running() == 0
