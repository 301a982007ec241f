"""Conversion of tokens to deltas: stop strings, whole characters, counts."""

from collections.abc import Sequence
from typing import Any

import pytest

from engine.detokenizer import Detokenizer
from engine.protocol import Delta, GenerationRequest, Logprobs, Row, TokenLogprob, Usage
from engine.tokenization.tokenizer import load_tokenizer

TOKENIZER = load_tokenizer("v1")


def feed(text: str, *, stop: tuple[str, ...] = (), max_tokens: int = 1000) -> list[Delta]:
    """Return the deltas of a text and an EOS, up to the one with the finish."""
    request = GenerationRequest(request_id="r", prompt=(1, 2), max_tokens=max_tokens, stop=stop)
    return Detokenizer(TOKENIZER, request).feed([*TOKENIZER.encode_text(text), TOKENIZER.eos])


def joined(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


def test_a_natural_end_is_an_empty_last_delta_and_the_eos_counts() -> None:
    deltas = feed(" one two three")

    assert [delta.text for delta in deltas] == [" one", " two", " three", ""]
    assert deltas[-1] == Delta("", "stop", Usage(2, 4))
    assert all(delta.finish is None and delta.usage is None for delta in deltas[:-1])


def test_the_last_of_max_tokens_carries_its_text() -> None:
    deltas = feed(" one two three", max_tokens=2)

    assert deltas == [Delta(" one"), Delta(" two", "length", Usage(2, 2))]


@pytest.mark.parametrize(
    ("stop", "text"),
    [
        ((" two",), " one"),
        (("e tw",), " on"),  # crosses two tokens, and leaves a part of the first
        (("three", "wo"), " one t"),  # the first match in the text
        ((" three four",), " one two three"),  # only its beginning is in the text
        (("one two three",), " "),
    ],
)
def test_a_stop_string_is_cut_wherever_it_lies(stop: tuple[str, ...], text: str) -> None:
    deltas = feed(" one two three", stop=stop)

    assert joined(deltas) == text
    assert deltas[-1].finish == "stop"


def test_as_many_characters_wait_as_may_begin_the_longest_stop_string() -> None:
    deltas = feed(" one two three", stop=("four", "a"))

    assert [delta.text for delta in deltas] == [" ", "one ", "two th", "ree"]


def test_text_held_back_at_the_limit_is_not_lost() -> None:
    assert feed(" one two three", stop=(" two three",), max_tokens=2)[-1].text == " one two"


def test_a_character_comes_whole() -> None:
    deltas = feed(" a 🦜 b")

    assert [delta.text for delta in deltas if delta.text] == [" a", " ", "🦜", " b"]
    assert len(deltas) == len(TOKENIZER.encode_text(" a 🦜 b")) + 1


def test_a_character_cut_by_the_limit_shows_as_a_replacement() -> None:
    tokens = len(TOKENIZER.encode_text(" a 🦜")) - 1

    assert joined(feed(" a 🦜", max_tokens=tokens)) == " a \ufffd"


def test_log_probabilities_go_with_their_tokens_and_those_of_a_known_answer_are_certain() -> None:
    tokens = [*TOKENIZER.encode_text(" one two"), TOKENIZER.eos]
    rows = [[(token, -0.5), (token, -0.5), (5, -2.0), (10**6, -9.0)] for token in tokens]

    def told(top: int | None, rows: Sequence[Row]) -> list[Delta]:
        request = GenerationRequest(request_id="r", prompt=(1,), max_tokens=9, top_logprobs=top)
        return Detokenizer(TOKENIZER, request).feed(tokens, None, rows)

    one, other = TokenLogprob(b" one", -0.5, tokens[0]), TokenLogprob(TOKENIZER.pieces[5], -2.0, 5)
    assert told(2, rows)[0].logprobs == Logprobs(one, (one, other))
    assert told(3, rows)[0].logprobs == Logprobs(one, (one, other, TokenLogprob(b"", -9.0, 10**6)))
    assert told(0, ())[1].logprobs == Logprobs(TokenLogprob(b" two", 0.0, tokens[1]), ())
    assert [delta.text for delta in told(0, ())] == [" one", " two", ""]
    assert [delta.logprobs for delta in told(None, ())] == [None] * 3


@pytest.mark.parametrize("before", [0, 1, 2])
def test_an_end_without_a_token_of_its_own_gives_what_was_held(before: int) -> None:
    request = GenerationRequest(request_id="r", prompt=(1,), max_tokens=9, stop=("e two!",))
    detokenizer = Detokenizer(TOKENIZER, request)
    tokens = TOKENIZER.encode_text(" one two")
    deltas = detokenizer.feed(tokens[:before])
    deltas += detokenizer.feed(tokens[before:], "stop")

    assert joined(deltas) == " one two"
    assert deltas[-1].finish == "stop"
    assert deltas[-1].usage == Usage(1, 2)
    assert [delta.finish for delta in deltas[:-1]] == [None] * (len(deltas) - 1)


def test_its_own_end_is_the_end_whatever_the_engine_says() -> None:
    request = GenerationRequest(request_id="r", prompt=(1,), max_tokens=2)
    tokens = TOKENIZER.encode_text(" one two")

    assert Detokenizer(TOKENIZER, request).feed(tokens, "stop")[-1].finish == "length"


def end(text: str, **asked: Any) -> tuple[str, str | int | None, int]:
    """Return the whole text, the end's cause and the number of tokens."""
    request = GenerationRequest(request_id="r", prompt=(1,), max_tokens=100, **asked)
    tokens = [*TOKENIZER.encode_text(text), TOKENIZER.eos]
    deltas = Detokenizer(TOKENIZER, request).feed(tokens, "length" if asked else None)
    assert deltas[-1].usage
    return joined(deltas), deltas[-1].stopped_by, deltas[-1].usage.output_tokens


TWO = TOKENIZER.encode_text(" two")[0]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"stop": (" two",)}, (" one", " two", 2)),
        ({"stop": (" two",), "keeps_stop": True}, (" one two", " two", 2)),
        ({"stop": ("two three", "wo")}, (" one t", "wo", 2)),  # the first to end
        ({"stop_tokens": (TWO,)}, (" one", TWO, 2)),
        ({"stop_tokens": (TWO,), "keeps_stop": True}, (" one two", TWO, 2)),
        ({"stop": ("one",), "min_tokens": 1}, (" one two three", None, 4)),
        ({"stop": ("e t",), "min_tokens": 1}, (" on", "e t", 2)),  # ends after the first token
        ({"stop": ("e t", "three"), "min_tokens": 2}, (" one two ", "three", 3)),
        ({"ignores_eos": True}, (" one two three", None, 4)),
        ({"ignores_eos": True, "stop_tokens": (2,)}, (" one two three", 2, 4)),
    ],
)
def test_what_ended_a_text_is_told(asked: dict[str, Any], expected: tuple[object, ...]) -> None:
    assert end(" one two three", **asked) == expected


@pytest.mark.parametrize("told", [True, False], ids=["told", "certain"])
def test_log_probabilities_of_the_prompt_are_on_the_first_delta(*, told: bool) -> None:
    request = GenerationRequest(
        request_id="r", prompt=(1, 5, 6), max_tokens=9, top_logprobs=1, prompt_logprobs=1
    )
    detokenizer = Detokenizer(TOKENIZER, request)
    rows = [[(token, -1.0), (3, -0.5)] for token in (5, 6, TWO, TWO)] if told else []
    first, second = detokenizer.feed([TWO, TWO], None, rows)
    [third] = detokenizer.feed([TWO], None, rows[3:])

    assert [row[0][0] for row in first.prompt_rows] == [5, 6]
    assert [row[1][0] for row in first.prompt_rows] == ([3, 3] if told else [5, 6])
    assert (second.prompt_rows, third.prompt_rows) == ((), ())
    for delta in (first, second, third):
        assert delta.logprobs
        assert delta.logprobs.chosen.id == TWO
