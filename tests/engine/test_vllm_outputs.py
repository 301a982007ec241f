"""Tokens from the engine core to who takes them, and what vLLM's own processor still sees."""

import asyncio
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.vllm_outputs import Answer, TokenOutputs
from tests.waiting import taken


class Processor:
    """Stands for vLLM's, and keeps what it is shown."""

    def __init__(self) -> None:
        self.added: list[str] = []
        self.seen: list[str] = []

    def add_request(self, request: Any, *_: object) -> None:
        self.added.append(request.request_id)

    def process_outputs(self, outputs: list[Any], *_: object, **__: object) -> str:
        self.seen += [output.request_id for output in outputs]
        return "processed"

    def abort_requests(self, request_ids: list[str], internal: bool) -> list[str]:  # noqa: FBT001
        assert internal
        return request_ids

    def get_num_unfinished_requests(self) -> int:
        return 7


def step(name: str, *tokens: int, finish: str | None = None, prefill: object = None) -> Any:
    return SimpleNamespace(
        request_id=name,
        new_token_ids=[*tokens],
        new_logprobs=None,
        finish_reason=finish,
        prefill_stats=prefill,
    )


def add(outputs: TokenOutputs, name: str) -> Answer:
    queue = SimpleNamespace()
    outputs.add_request(SimpleNamespace(request_id=name), None, None, 0, queue)
    answer: Answer = queue.answer
    return answer


@pytest.fixture
def processor() -> Processor:
    return Processor()


@pytest.fixture
def outputs(processor: Processor) -> TokenOutputs:
    return TokenOutputs(processor)


async def test_tokens_go_to_their_requests_and_merge(outputs: TokenOutputs) -> None:
    one, other = add(outputs, "one"), add(outputs, "other")
    outputs.process_outputs([step("one", 1), step("other", 9)])
    outputs.process_outputs([step("one", 2, 3), step("nobody", 5)])

    assert await one.take() == [1, 2, 3]
    assert await other.take() == [9]


async def test_who_waits_is_woken(outputs: TokenOutputs) -> None:
    answer = add(outputs, "one")
    taking = asyncio.create_task(taken(answer))
    await asyncio.sleep(0)
    outputs.process_outputs([step("one", 1)])
    outputs.process_outputs([step("one", 2)])

    assert await taking == [1, 2]


async def test_the_end_is_no_tokens(outputs: TokenOutputs) -> None:
    answer = add(outputs, "one")
    outputs.process_outputs([step("one", 1, finish="stop")])

    assert answer.is_over
    assert await answer.take() == [1]
    assert await answer.take() == []


async def test_vllm_sees_the_first_step_and_the_last(
    outputs: TokenOutputs, processor: Processor
) -> None:
    add(outputs, "one")
    for each in (step("one", 1, prefill=1), step("one", 2), step("one", 3, finish="stop")):
        assert outputs.process_outputs([each]) == "processed"

    assert processor.added == ["one"]
    assert processor.seen == ["one", "one"]


async def test_vllm_sees_every_step_that_it_counts(
    outputs: TokenOutputs, processor: Processor
) -> None:
    add(outputs, "one")
    outputs.process_outputs([step("one", 1)], 0.0, object(), weight_version=None)

    assert processor.seen == ["one"]


async def test_a_failure_comes_after_the_tokens(outputs: TokenOutputs) -> None:
    answer = add(outputs, "one")
    outputs.process_outputs([step("one", 1)])
    outputs.propagate_error(OSError("gone"))

    assert await answer.take() == [1]
    with pytest.raises(OSError, match="gone"):
        await answer.take()


async def test_who_is_given_up_gets_nothing_more(outputs: TokenOutputs) -> None:
    answer = add(outputs, "one")
    assert outputs.abort_requests(["one"], internal=True) == ["one"]
    outputs.process_outputs([step("one", 1)])

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(answer.take(), 0.01)


def test_the_rest_is_vllms(outputs: TokenOutputs) -> None:
    assert outputs.get_num_unfinished_requests() == 7


async def test_log_probabilities_are_there_once_their_tokens_are(outputs: TokenOutputs) -> None:
    answer = add(outputs, "one")
    for token in (7, 8):
        told = step("one", token)
        ids, values = np.array([[token, 5]]), np.array([[-0.25, -2.0]])
        told.new_logprobs = SimpleNamespace(logprob_token_ids=ids, logprobs=values)
        outputs.process_outputs([told])

    assert await taken(answer) == [7, 8]
    assert answer.take_rows() == [[(7, -0.25), (5, -2.0)], [(8, -0.25), (5, -2.0)]]
    assert answer.take_rows() == []
