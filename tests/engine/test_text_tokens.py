"""Texts of a model with another tokenizer, as tokens of Mistral's tokenizers."""

import random

import pytest

from engine.protocol import GenerationRequest
from engine.text_tokens import MAX_HELD_CHARACTERS, TextTokens
from engine.tokenization.tokenizer import Tokenizer, load_tokenizer

TEXT = (
    " The capital of France is Paris.\n\nIt lies on the Seine, 12345 people (some) say;  and\n"
    "  def f(x):\n\treturn x  # Zürich 🦜 日本語\n- one\n- two..."
)


@pytest.fixture(params=["v1", "v3", "v7", "tekken"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return load_tokenizer(request.param)


def ask(**more: object) -> GenerationRequest:
    return GenerationRequest(**{"request_id": "r", "prompt": (1,), "max_tokens": 500, **more})  # type: ignore[arg-type]


def cut(text: str, seed: int) -> list[str]:
    chance, pieces = random.Random(seed), []
    while text:
        size = chance.randint(1, 6)
        pieces.append(text[:size])
        text = text[size:]
    return pieces


@pytest.mark.parametrize("seed", range(20))
def test_words_that_are_held_have_the_tokens_of_the_whole_text(
    tokenizer: Tokenizer, seed: int
) -> None:
    reader = TextTokens(tokenizer, ask(), holds_words=True)
    batches = [reader.read(piece) for piece in cut(TEXT, seed)]
    batches.append(reader.read("", "stop"))

    tokens = [token for batch in batches for token in batch.tokens]
    assert tokens == [*tokenizer.encode_text(TEXT), tokenizer.eos]
    assert [batch.finish for batch in batches if batch.finish] == ["stop"]


def test_a_word_comes_when_the_next_one_begins() -> None:
    tokenizer = load_tokenizer("v3")
    reader = TextTokens(tokenizer, ask(), holds_words=True)

    assert reader.read(" con").tokens == []
    assert reader.read("diment").tokens == []
    assert reader.read(" is").tokens == tokenizer.encode_text(" condiment")


def test_without_holding_a_piece_comes_at_once() -> None:
    tokenizer = load_tokenizer("v3")
    reader = TextTokens(tokenizer, ask())

    assert reader.read(" con").tokens == tokenizer.encode_text(" con")


def test_a_text_without_spaces_is_not_held_for_ever() -> None:
    tokenizer = load_tokenizer("v3")
    reader = TextTokens(tokenizer, ask(), holds_words=True)

    assert reader.read("x" * MAX_HELD_CHARACTERS).tokens == []
    assert reader.read("x").tokens


@pytest.mark.parametrize("most", [1, 2, 5])
def test_the_limit_counts_mistrals_tokens(tokenizer: Tokenizer, most: int) -> None:
    reader = TextTokens(tokenizer, ask(max_tokens=most), holds_words=True)
    tokens: list[int] = []
    for piece in cut(TEXT, seed=1):
        batch = reader.read(piece)
        tokens += batch.tokens
        if batch.finish:
            break

    assert batch.finish == "length"
    assert tokens == tokenizer.encode_text(TEXT)[:most]


def test_calls_of_tools_are_control_tokens_where_these_are_spelled() -> None:
    tokenizer = load_tokenizer("v3")
    text = "[TOOL_CALLS] []"
    spelled, plain = (
        TextTokens(tokenizer, ask(spelled=spelled)).read(text, "length").tokens
        for spelled in (True, False)
    )

    assert tokenizer.spelled[spelled[0]] == b"[TOOL_CALLS]"
    assert len(plain) > len(spelled)
