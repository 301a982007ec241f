"""Several generations of one answer: counts, ends, errors and cancellation."""

import asyncio
from collections.abc import Sequence

import pytest

from engine.errors import EngineBusy, EngineDead
from engine.protocol import Delta, Generation, GenerationRequest, Receiver, Usage
from engine.tokenization.tokenizer import load_tokenizer
from invoke_api.pipeline.choices import STARTED_AT_ONCE, ChoiceRequests, Choices

TOKENIZER = load_tokenizer("v1")
EOS = TOKENIZER.eos


class Source:
    """A source of generations that the test pushes itself. It takes `most` requests."""

    def __init__(self, most: int = 1_000) -> None:
        self._most = most
        self.receivers: list[Receiver] = []
        self.handles: list[Handle] = []

    def __call__(self, _: GenerationRequest, receiver: Receiver) -> Generation:
        if len(self.handles) == self._most:
            raise EngineBusy("full")
        self.receivers.append(receiver)
        self.handles.append(Handle())
        return self.handles[-1]

    def push(self, number: int, text: str, *more: int) -> None:
        self.receivers[number].push([*TOKENIZER.encode_text(text), *more])

    @property
    def logs(self) -> list[list[str]]:
        return [handle.log for handle in self.handles]


class Handle:
    def __init__(self) -> None:
        self.log: list[str] = []

    def cancel(self) -> None:
        self.log.append("cancel")

    def pause(self) -> None:
        self.log.append("pause")

    def resume(self) -> None:
        self.log.append("resume")


class Told:
    """The target: the answer that takes all deltas."""

    def __init__(self) -> None:
        self.deltas: list[Delta] = []
        self.errors: list[Exception] = []

    def feed(self, deltas: Sequence[Delta]) -> None:
        self.deltas += deltas

    def end(self, error: Exception) -> None:
        self.errors.append(error)


PROMPT = (1, *TOKENIZER.encode_text(" a"))


def open_choices(
    count: int, source: Source, stop: tuple[str, ...] = (), prompt: tuple[int, ...] = PROMPT
) -> tuple[Choices, Told]:
    requests = [
        GenerationRequest(request_id=str(number), prompt=prompt, max_tokens=100, stop=stop)
        for number in range(count)
    ]
    told = Told()
    return Choices(ChoiceRequests(tuple(requests), 2), source, TOKENIZER, told), told


async def test_the_last_choice_ends_the_answer_with_the_counts_of_all() -> None:
    source = Source()
    choices, told = open_choices(2, source)
    choices.start()
    source.push(1, " one two", EOS)
    source.push(0, " three")
    source.push(0, " four", EOS)
    source.push(0, " five", EOS)  # comes too late

    assert [(delta.text, delta.choice and delta.choice.number) for delta in told.deltas] == [
        *((" one", 1), (" two", 1), ("", 1)),
        *((" three", 0), (" four", 0), ("", 0)),
    ]
    finishes = [delta.choice and delta.choice.finish for delta in told.deltas]
    assert finishes == [None, None, "stop", None, None, "stop"]
    assert [delta.finish for delta in told.deltas] == [None] * 5 + ["stop"]
    assert told.deltas[-1].usage == Usage(2, 6)
    assert [delta.choice and delta.choice.token for delta in told.deltas][2::3] == [EOS, EOS]


async def test_a_choice_that_has_ended_is_cancelled_alone() -> None:
    source = Source()
    choices, told = open_choices(2, source, stop=(" two",))
    choices.start()
    source.push(0, " one two three")

    assert source.logs == [["cancel"], []]
    assert told.deltas[-1].stopped_by == " two"
    assert told.deltas[-1].finish is None


async def test_a_choice_that_fails_ends_the_answer() -> None:
    source = Source()
    choices, told = open_choices(2, source)
    choices.start()
    error = EngineDead("gone")
    source.receivers[1].end(error)
    choices.cancel()  # as an answer does that has failed
    source.push(0, " late")

    assert told.errors == [error]
    assert source.logs == [["cancel"], ["cancel"]]
    assert told.deltas == []


async def test_a_refusal_cancels_the_choices_before_it() -> None:
    source = Source(most=2)
    choices, _ = open_choices(3, source)
    with pytest.raises(EngineBusy):
        choices.start()

    assert source.logs == [["cancel"], ["cancel"]]


async def test_many_choices_begin_in_several_rounds() -> None:
    source = Source()
    choices, _ = open_choices(STARTED_AT_ONCE + 1, source)
    choices.start()
    before = len(source.handles)
    choices.pause()
    await asyncio.sleep(0)
    choices.resume()

    assert (before, len(source.handles)) == (STARTED_AT_ONCE, STARTED_AT_ONCE + 1)
    assert source.logs == [["pause", "resume"]] * (STARTED_AT_ONCE + 1)


async def test_a_later_refusal_ends_the_answer() -> None:
    source = Source(most=STARTED_AT_ONCE)
    choices, told = open_choices(STARTED_AT_ONCE + 1, source)
    choices.start()
    await asyncio.sleep(0)

    assert [type(error) for error in told.errors] == [EngineBusy]
    assert {log[0] for log in source.logs} == {"cancel"}


async def test_a_cancelled_answer_begins_no_more() -> None:
    source = Source()
    choices, _ = open_choices(STARTED_AT_ONCE + 1, source)
    choices.start()
    choices.cancel()
    await asyncio.sleep(0)

    assert len(source.handles) == STARTED_AT_ONCE


@pytest.mark.parametrize(("prompt", "text"), [((1,), "one two"), (PROMPT, " one two")])
async def test_the_first_word_of_a_text_has_no_blank(prompt: tuple[int, ...], text: str) -> None:
    source = Source()
    choices, told = open_choices(1, source, prompt=prompt)
    choices.start()
    source.push(0, " one")
    source.push(0, " two")

    assert "".join(delta.text for delta in told.deltas) == text
