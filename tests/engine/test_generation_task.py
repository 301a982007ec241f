"""Generation tasks: pushes in batches, pauses, one end, and nothing after a cancel."""

import asyncio

import pytest

from engine.errors import EngineDead
from engine.generation_task import BATCH_TOKENS, FINISHED, GenerationTask, push_known_answer
from tests.support.receiving import RecordingReceiver


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class Case:
    """A task that pushes these tokens, with its receiver."""

    def __init__(self, number: int, *, error: Exception | None = None) -> None:
        self.receiver = RecordingReceiver()
        self.ends = 0
        self.number = number
        self.error = error
        self.task = GenerationTask(self.receiver, self.make, self.end)

    def end(self) -> None:
        self.ends += 1

    async def make(self, task: GenerationTask) -> None:
        rows = [[(token, -1.0)] for token in range(self.number)]
        await task.push(range(self.number), None if self.error else "stop", rows)
        if self.error:
            raise self.error


@pytest.mark.parametrize(
    "number", [0, 1, BATCH_TOKENS, BATCH_TOKENS + 1, 2 * BATCH_TOKENS, 2 * BATCH_TOKENS + 1]
)
async def test_all_is_pushed_in_batches_and_the_last_has_the_finish(number: int) -> None:
    case = Case(number)
    await case.receiver.wait_for_end()
    case.task.cancel()
    await settle()

    assert case.receiver.tokens == [*range(number)]
    assert case.receiver.rows == [[(token, -1.0)] for token in range(number)]
    assert len(case.receiver.pushes) == max(1, -(-number // BATCH_TOKENS))
    assert (case.receiver.finish, case.receiver.surplus, case.ends) == ("stop", 0, 1)


async def test_an_error_comes_after_the_tokens_and_once() -> None:
    case = Case(3, error=EngineDead("gone"))
    await case.receiver.wait_for_end()
    case.task.cancel()
    await settle()

    assert case.receiver.tokens == [0, 1, 2]
    assert (case.receiver.error, case.receiver.surplus, case.ends) == (case.error, 0, 1)


@pytest.mark.parametrize("rounds", range(4))
async def test_a_cancel_ends_it_at_once_and_its_receiver_hears_no_more(rounds: int) -> None:
    case = Case(9 * BATCH_TOKENS, error=EngineDead("gone"))
    for _ in range(rounds):
        await asyncio.sleep(0)
    case.task.cancel()
    heard = len(case.receiver.pushes)
    assert case.ends == 1
    await settle()

    assert (len(case.receiver.pushes), case.receiver.is_over, case.ends) == (heard, False, 1)


@pytest.mark.parametrize(("error", "is_told"), [(ZeroDivisionError, True), (EngineDead, False)])
async def test_what_goes_wrong_after_a_cancel_is_not_the_receivers(
    error: type[Exception], *, is_told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def make(_: GenerationTask) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise error("it does not end well")

    receiver = RecordingReceiver()
    task = GenerationTask(receiver, make)
    await settle()
    task.cancel()
    await settle()

    assert not receiver.is_over
    assert ("it does not end well" in caplog.text) == is_told


class Canceller(RecordingReceiver):
    """A receiver that cancels at the first push, as at a stop string."""

    def __init__(self) -> None:
        super().__init__()
        self.task: GenerationTask | None = None

    def push(self, *heard: object, **more: object) -> None:
        super().push(*heard, **more)  # type: ignore[arg-type]
        assert self.task
        self.task.cancel()


async def test_a_receiver_may_cancel_while_it_is_pushed_to() -> None:
    receiver = Canceller()
    receiver.task = GenerationTask(
        receiver, lambda each: each.push(range(3 * BATCH_TOKENS), "stop")
    )
    await settle()

    assert (len(receiver.pushes), receiver.is_over) == (1, False)


async def test_a_paused_production_pushes_nothing_until_it_goes_on() -> None:
    case = Case(3 * BATCH_TOKENS)
    case.task.pause()
    await settle()
    assert case.receiver.pushes == []
    case.task.resume()
    case.task.pause()  # before its task runs again
    await settle()
    assert case.receiver.pushes == []
    case.task.resume()
    await case.receiver.wait_for_end()

    assert case.receiver.tokens == [*range(3 * BATCH_TOKENS)]


async def test_a_short_answer_is_over_before_it_is_returned() -> None:
    receiver = RecordingReceiver()
    generation = push_known_answer([1, 2, 3], 3, receiver)
    generation.pause()
    generation.resume()
    generation.cancel()

    assert generation is FINISHED
    assert (receiver.pushes, receiver.finish) == ([[1, 2, 3]], "stop")


@pytest.mark.parametrize(("max_tokens", "finish"), [(300, "stop"), (299, "length")])
async def test_a_long_answer_comes_in_batches(max_tokens: int, finish: str) -> None:
    receiver = RecordingReceiver()
    push_known_answer(range(300), max_tokens, receiver)
    await receiver.wait_for_end()

    assert receiver.tokens == [*range(max_tokens)]
    assert [len(tokens) for tokens in receiver.pushes] == [
        BATCH_TOKENS,
        BATCH_TOKENS,
        max_tokens - 2 * BATCH_TOKENS,
    ]
    assert receiver.finish == finish


async def test_other_work_goes_on_between_batches() -> None:
    seen: list[int] = []
    receiver = RecordingReceiver()
    push_known_answer(range(5 * BATCH_TOKENS), 9_999, receiver)
    while not receiver.is_over:
        seen.append(len(receiver.pushes))
        await asyncio.sleep(0)

    assert seen[-4:] == [1, 2, 3, 4]
