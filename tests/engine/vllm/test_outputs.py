"""Delivery of tokens to receivers, and the outputs that vLLM's own processor gets."""

import asyncio
from time import monotonic
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.errors import EngineDead, EngineTimeout
from engine.generation_task import BATCH_TOKENS
from engine.vllm.outputs import CURRENT_GENERATION, TokenOutputs, VllmGeneration
from tests.support.receiving import RecordingReceiver


class Processor:
    """A substitute for vLLM's processor that records its outputs."""

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
        new_prompt_logprobs_tensors=None,
        finish_reason=finish,
        prefill_stats=prefill,
    )


class Heard(RecordingReceiver):
    """The receiver of one request, and its generation."""

    def __init__(self, outputs: TokenOutputs, name: str) -> None:
        super().__init__()
        self.ends: list[bool] = []  # `is_done` at the end
        self.answer = VllmGeneration(self, lambda answer: self.ends.append(answer.is_done))
        CURRENT_GENERATION.set(self.answer)
        outputs.add_request(SimpleNamespace(request_id=name), None, None, 0, object())


@pytest.fixture
def processor() -> Processor:
    return Processor()


@pytest.fixture
def outputs(processor: Processor) -> TokenOutputs:
    return TokenOutputs(processor)


async def test_tokens_go_to_their_requests_step_by_step(outputs: TokenOutputs) -> None:
    one, other = Heard(outputs, "one"), Heard(outputs, "other")
    outputs.process_outputs([step("one", 1), step("other", 9)])
    outputs.process_outputs([step("one", 2, 3), step("nobody", 5)])

    assert one.pushes == [[1], [2, 3]]
    assert other.pushes == [[9]]


@pytest.mark.parametrize("finish", ["stop", "length"])
async def test_the_end_comes_with_the_last_tokens(outputs: TokenOutputs, finish: str) -> None:
    one = Heard(outputs, "one")
    outputs.process_outputs([step("one", 1)])
    assert not one.is_over
    outputs.process_outputs([step("one", 2, finish=finish)])
    one.answer.cancel()

    assert (one.pushes, one.finish) == ([[1], [2]], finish)
    assert one.ends == [True]


async def test_an_end_of_another_kind_is_an_error(outputs: TokenOutputs) -> None:
    one = Heard(outputs, "one")
    outputs.process_outputs([step("one", 1, finish="abort")])

    assert (one.pushes, one.finish) == ([[1]], None)
    assert isinstance(one.error, EngineDead)
    assert str(one.error) == "vLLM has ended the answer: abort"
    assert one.ends == [True]


async def test_vllm_sees_the_first_step_and_the_last(
    outputs: TokenOutputs, processor: Processor
) -> None:
    Heard(outputs, "one")
    for each in (step("one", 1, prefill=1), step("one", 2), step("one", 3, finish="stop")):
        assert outputs.process_outputs([each]) == "processed"

    assert processor.added == ["one"]
    assert processor.seen == ["one", "one"]


async def test_vllm_sees_every_step_that_it_counts(
    outputs: TokenOutputs, processor: Processor
) -> None:
    Heard(outputs, "one")
    outputs.process_outputs([step("one", 1)], 0.0, object(), weight_version=None)

    assert processor.seen == ["one"]


async def test_a_failure_comes_after_the_tokens_and_once(outputs: TokenOutputs) -> None:
    one = Heard(outputs, "one")
    one.answer.pause()
    outputs.process_outputs([step("one", 1)])
    outputs.propagate_error(OSError("gone"))
    outputs.propagate_error(OSError("gone again"))
    assert not one.is_over
    one.answer.resume()
    await one.wait_for_end()

    assert one.pushes == [[1]]
    assert isinstance(one.error, EngineDead)
    assert str(one.error) == "gone"
    assert one.ends == [True]


async def test_who_cancels_hears_nothing_more_and_the_request_is_to_be_aborted(
    outputs: TokenOutputs,
) -> None:
    one = Heard(outputs, "one")
    outputs.process_outputs([step("one", 1)])
    one.answer.cancel()
    outputs.process_outputs([step("one", 2)])
    assert outputs.abort_requests(["one"], internal=True) == ["one"]
    outputs.process_outputs([step("one", 3)])
    outputs.propagate_error(OSError("gone"))

    assert one.pushes == [[1]]
    assert not one.is_over
    assert one.ends == [False]


async def test_a_request_that_vllm_aborts_itself_fails(outputs: TokenOutputs) -> None:
    one = Heard(outputs, "one")
    outputs.abort_requests(["one"], internal=True)

    assert isinstance(one.error, EngineDead)
    assert one.ends == [True]


async def test_a_paused_receiver_hears_all_later_in_order_and_in_batches(
    outputs: TokenOutputs,
) -> None:
    one = Heard(outputs, "one")
    one.answer.pause()
    for token in range(2 * BATCH_TOKENS + 1):
        outputs.process_outputs([step("one", token)])
    await asyncio.sleep(0.01)
    assert one.pushes == []
    one.answer.resume()
    one.answer.resume()
    assert one.pushes == []  # not inside the caller's own call
    await one.wait_for_pushes()
    outputs.process_outputs([step("one", 9_999, finish="stop")])
    await one.wait_for_end()

    assert one.tokens == [*range(2 * BATCH_TOKENS + 1), 9_999]
    assert [len(tokens) for tokens in one.pushes] == [BATCH_TOKENS, BATCH_TOKENS, 2]
    assert one.finish == "stop"


async def test_it_may_be_paused_again_while_it_catches_up(outputs: TokenOutputs) -> None:
    one = Heard(outputs, "one")
    one.answer.pause()
    outputs.process_outputs([step("one", *range(3 * BATCH_TOKENS))])
    one.answer.resume()
    await one.wait_for_pushes()
    one.answer.pause()
    await asyncio.sleep(0.01)
    assert len(one.pushes) == 1
    one.answer.resume()
    one.answer.pause()
    await asyncio.sleep(0.01)
    assert len(one.pushes) == 1
    one.answer.resume()
    await one.wait_for_pushes(3)

    assert one.tokens == [*range(3 * BATCH_TOKENS)]


@pytest.mark.parametrize("act", ["pause", "cancel"])
async def test_what_a_receiver_does_with_its_last_tokens_holds_for_the_error_behind_them(
    outputs: TokenOutputs, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    one = Heard(outputs, "one")
    push = one.push

    def push_and_act(*heard: Any) -> None:
        push(*heard)
        getattr(one.answer, act)()

    monkeypatch.setattr(one, "push", push_and_act)
    outputs.process_outputs([step("one", 1, finish="abort")])
    assert (one.pushes, one.error) == ([[1]], None)
    one.answer.resume()
    await asyncio.sleep(0.01)

    assert (one.error is None) == (act == "cancel")
    assert one.ends == [True]


async def test_a_request_without_tokens_for_too_long_fails_unless_it_is_paused(
    outputs: TokenOutputs,
) -> None:
    paused, silent, lively = (Heard(outputs, name) for name in ("paused", "silent", "lively"))
    paused.answer.pause()
    await asyncio.sleep(0.01)
    since = monotonic()
    outputs.process_outputs([step("lively", 1)])
    outputs.end_silent(since)
    paused.answer.resume()
    outputs.end_silent(since)

    assert isinstance(silent.error, EngineTimeout)
    assert silent.ends == [False]
    assert (paused.is_over, lively.is_over) == (False, False)


async def test_a_receiver_that_fails_costs_nobody_else_anything(
    outputs: TokenOutputs, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = Heard(outputs, "one"), Heard(outputs, "other")
    monkeypatch.setattr(one, "push", None)
    outputs.process_outputs([step("one", 1), step("other", 2)])

    assert other.pushes == [[2]]
    assert one.ends == [False]
    assert "a receiver of tokens has failed" in caplog.text


def test_the_rest_is_vllms(outputs: TokenOutputs) -> None:
    assert outputs.get_num_unfinished_requests() == 7


async def test_log_probabilities_come_with_their_tokens(outputs: TokenOutputs) -> None:
    one = Heard(outputs, "one")
    one.answer.pause()
    for token in (7, 8):
        told = step("one", token)
        ids, values = np.array([[token, 5]]), np.array([[-0.25, -2.0]])
        told.new_logprobs = SimpleNamespace(logprob_token_ids=ids, logprobs=values)
        outputs.process_outputs([told])
    one.answer.resume()
    await one.wait_for_pushes()

    assert one.pushes == [[7, 8]]
    assert one.rows == [[(7, -0.25), (5, -2.0)], [(8, -0.25), (5, -2.0)]]


async def test_those_of_the_prompt_come_first(outputs: TokenOutputs) -> None:
    one = Heard(outputs, "one")
    told = step("one", 7)
    prompt, answer = np.array([[1, 4], [2, 4]]), np.array([[7, 5]])
    told.new_prompt_logprobs_tensors = SimpleNamespace(
        logprob_token_ids=prompt, logprobs=-prompt, selected_token_ranks=prompt[:, 0]
    )
    told.new_logprobs = SimpleNamespace(logprob_token_ids=answer, logprobs=-answer)
    outputs.process_outputs([told])
    later = step("one", 7)
    later.new_logprobs = told.new_logprobs
    outputs.process_outputs([later])

    assert one.pushes == [[7], [7]]
    assert [row[0] for row in one.rows] == [(1, -1, 1), (2, -2, 2), (7, -7), (7, -7)]
