"""Productions: pushes in batches, pauses, one end, and nothing after a cancel."""

import asyncio

import pytest

from engine.errors import EngineDead
from engine.generation_task import BATCH, OVER, Production, play
from tests.support.receiving import Ear


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class Case:
    """A production of these tokens, and what becomes of it."""

    def __init__(self, number: int, *, error: Exception | None = None) -> None:
        self.ear = Ear()
        self.ends = 0
        self.number = number
        self.error = error
        self.production = Production(self.ear, self.make, self.end)

    def end(self) -> None:
        self.ends += 1

    async def make(self, production: Production) -> None:
        rows = [[(token, -1.0)] for token in range(self.number)]
        await production.push(range(self.number), None if self.error else "stop", rows)
        if self.error:
            raise self.error


@pytest.mark.parametrize("number", [0, 1, BATCH, BATCH + 1, 2 * BATCH, 2 * BATCH + 1])
async def test_all_is_pushed_in_batches_and_the_last_has_the_finish(number: int) -> None:
    case = Case(number)
    await case.ear.hears_all()
    case.production.cancel()
    await settle()

    assert case.ear.tokens == [*range(number)]
    assert case.ear.rows == [[(token, -1.0)] for token in range(number)]
    assert len(case.ear.pushes) == max(1, -(-number // BATCH))
    assert (case.ear.finish, case.ear.surplus, case.ends) == ("stop", 0, 1)


async def test_an_error_comes_after_the_tokens_and_once() -> None:
    case = Case(3, error=EngineDead("gone"))
    await case.ear.hears_all()
    case.production.cancel()
    await settle()

    assert case.ear.tokens == [0, 1, 2]
    assert (case.ear.error, case.ear.surplus, case.ends) == (case.error, 0, 1)


@pytest.mark.parametrize("rounds", range(4))
async def test_a_cancel_ends_it_at_once_and_its_receiver_hears_no_more(rounds: int) -> None:
    case = Case(9 * BATCH, error=EngineDead("gone"))
    for _ in range(rounds):
        await asyncio.sleep(0)
    case.production.cancel()
    heard = len(case.ear.pushes)
    assert case.ends == 1
    await settle()

    assert (len(case.ear.pushes), case.ear.is_over, case.ends) == (heard, False, 1)


@pytest.mark.parametrize(("error", "is_told"), [(ZeroDivisionError, True), (EngineDead, False)])
async def test_what_goes_wrong_after_a_cancel_is_not_the_receivers(
    error: type[Exception], *, is_told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def make(_: Production) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise error("it does not end well")

    ear = Ear()
    production = Production(ear, make)
    await settle()
    production.cancel()
    await settle()

    assert not ear.is_over
    assert ("it does not end well" in caplog.text) == is_told


class Canceller(Ear):
    """Has heard enough with the first push, as of a stop string."""

    def __init__(self) -> None:
        super().__init__()
        self.production: Production | None = None

    def push(self, *heard: object, **more: object) -> None:
        super().push(*heard, **more)  # type: ignore[arg-type]  # as they came
        assert self.production
        self.production.cancel()


async def test_a_receiver_may_cancel_while_it_is_pushed_to() -> None:
    receiver = Canceller()
    receiver.production = Production(receiver, lambda each: each.push(range(3 * BATCH), "stop"))
    await settle()

    assert (len(receiver.pushes), receiver.is_over) == (1, False)


async def test_a_paused_production_pushes_nothing_until_it_goes_on() -> None:
    case = Case(3 * BATCH)
    case.production.pause()
    await settle()
    assert case.ear.pushes == []
    case.production.resume()
    case.production.pause()  # before its task has woken
    await settle()
    assert case.ear.pushes == []
    case.production.resume()
    await case.ear.hears_all()

    assert case.ear.tokens == [*range(3 * BATCH)]


async def test_a_short_answer_is_over_before_it_is_returned() -> None:
    ear = Ear()
    generation = play([1, 2, 3], 3, ear)
    generation.pause()
    generation.resume()
    generation.cancel()

    assert generation is OVER
    assert (ear.pushes, ear.finish) == ([[1, 2, 3]], "stop")


@pytest.mark.parametrize(("max_tokens", "finish"), [(300, "stop"), (299, "length")])
async def test_a_long_answer_comes_in_batches(max_tokens: int, finish: str) -> None:
    ear = Ear()
    play(range(300), max_tokens, ear)
    await ear.hears_all()

    assert ear.tokens == [*range(max_tokens)]
    assert [len(tokens) for tokens in ear.pushes] == [BATCH, BATCH, max_tokens - 2 * BATCH]
    assert ear.finish == finish


async def test_other_work_goes_on_between_batches() -> None:
    seen: list[int] = []
    ear = Ear()
    play(range(5 * BATCH), 9_999, ear)
    while not ear.is_over:
        seen.append(len(ear.pushes))
        await asyncio.sleep(0)

    assert seen[-4:] == [1, 2, 3, 4]
