"""Token counts as recorded from Bedrock, and pieces that join to the text."""

import pytest

from engine.tokenization.tokenizer import MISTRAL, Tokenizer, Version, load_tokenizer

# Prompts with `X-Amzn-Bedrock-Input-Token-Count`, from public recordings of the real service.
RECORDED = [
    ("v1", "Say this is a test", 6),  # 7B: opentelemetry-python-contrib, 2025
    ("v1", "What is the capital of France?", 8),  # 7B: dd-trace-js
    (  # 7B: newrelic-python-agent; the literal <s> counts in addition to the BOS
        "v1",
        "<s>[INST] What is 212 degrees Fahrenheit converted to Celsius? [/INST]",
        25,
    ),
    # Small 2402: opentelemetry-js-contrib
    ("v2", "\n\nHuman: Hello, How are you today? \n\nAssistant:", 19),
]


def text_of(tokenizer: Tokenizer, tokens: list[int]) -> str:
    return b"".join(tokenizer.pieces[token] for token in tokens).decode()


@pytest.mark.parametrize(("name", "prompt", "count"), RECORDED)
def test_a_prompt_counts_as_bedrock_counted_it(name: str, prompt: str, count: int) -> None:
    assert len(load_tokenizer(name).encode(prompt)) == count


@pytest.mark.parametrize("name", MISTRAL)
def test_text_comes_back_from_its_tokens(name: str) -> None:
    tokenizer = load_tokenizer(name)
    text = " Zürich 🦜\n\n  two spaces\tand a tab \u2581 日本語"

    assert text_of(tokenizer, tokenizer.encode_text(text)) == text.replace("\u2581", " ")


@pytest.mark.parametrize("name", MISTRAL)
def test_a_bos_is_added_and_control_pieces_count_as_such(name: str) -> None:
    tokenizer = load_tokenizer(name)

    assert tokenizer.encode("") == (tokenizer.bos,)
    assert tokenizer.encode("<s></s>") == (tokenizer.bos, tokenizer.bos, tokenizer.eos)
    assert text_of(tokenizer, [tokenizer.bos, tokenizer.eos, 0]) == ""


@pytest.mark.parametrize("name", MISTRAL)
def test_enough_tokens_are_enough(name: str) -> None:
    tokenizer = load_tokenizer(name)
    for text in ("word " * 100, "[INST]" * 100, "Становништво" * 100, "🦜" * 100):
        whole = tokenizer.encode(text)

        assert tokenizer.encode(text, enough=len(whole)) == whole
        assert len(tokenizer.encode(text * 100, enough=50)) > 50


def test_instruction_marks_are_control_pieces_from_the_second_tokenizer_on() -> None:
    assert load_tokenizer("v2").encode("[INST]")[1:] == (3,)
    assert len(load_tokenizer("v1").encode("[INST]")[1:]) == 3


def test_reserved_ids_are_not_words_of_the_prompt_language() -> None:
    assert len(load_tokenizer("v2").encode("[control_8]")[1:]) > 1


def test_the_2402_pair_and_its_stand_ins_share_their_ids() -> None:
    second, third = load_tokenizer("v2"), load_tokenizer("v3")
    text = "[INST] The stand-ins were trained with v3, Zürich 🦜 [/INST]"

    assert second.encode(text) == third.encode(text)


def test_a_file_that_mistral_common_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MISTRAL, "v0", Version("tokenizer.model.v0"))

    with pytest.raises(FileNotFoundError, match=r"tokenizer\.model\.v0"):
        load_tokenizer("v0")


@pytest.mark.parametrize("name", MISTRAL)
@pytest.mark.parametrize(
    "prompt",
    [
        "Why?",
        " two  spaces",
        "",
        "[INST] Why?[/INST] Zürich 🦜",
        "<s> a </s>  b\n\n c [TOOL_CALLS]",
    ],
)
def test_a_prompt_comes_back_from_its_tokens_with_its_control_tokens(
    name: str, prompt: str
) -> None:
    tokenizer = load_tokenizer(name)

    assert tokenizer.to_prompt(tokenizer.encode(prompt)) == prompt


def test_control_tokens_of_tekken_come_back_by_their_names() -> None:
    chat = load_tokenizer("tekken").chat.encode([{"role": "user", "content": "Zürich 🦜"}])

    assert load_tokenizer("tekken").to_prompt(chat.tokens) == "[INST]Zürich 🦜[/INST]"
