"""Mistral's prompts in SmolLM2's template."""

from types import SimpleNamespace
from typing import Any

import pytest

from engine.demo.chatml import DEFAULT_SYSTEM, RESULT, TOOLS, Turn, encode, read_prompt
from engine.tokenization.tokenizer import load_tokenizer

DEFAULT = Turn("system", DEFAULT_SYSTEM)
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "description": "", "parameters": {"type": "object"}},
}


@pytest.mark.parametrize(
    ("prompt", "turns", "beginning"),
    [
        ("<s>[INST] Why? [/INST]", [DEFAULT, Turn("user", "Why?")], ""),
        ("Why?", [DEFAULT, Turn("user", "Why?")], ""),
        ("", [DEFAULT], ""),
        ("<s>Be brief. [INST] Why? [/INST]", [DEFAULT, Turn("user", "Be brief.\n\nWhy?")], ""),
        (
            "<s>[INST] Why?[/INST] So.</s>[INST] And?[/INST]",
            [DEFAULT, Turn("user", "Why?"), Turn("assistant", "So."), Turn("user", "And?")],
            "",
        ),
        ("<s>[INST] Why?[/INST] Because", [DEFAULT, Turn("user", "Why?")], "Because"),
        (
            "<s>[INST] Why?[/INST] So.</s>",
            [DEFAULT, Turn("user", "Why?"), Turn("assistant", "So.")],
            "",
        ),
        (
            "<s>[SYSTEM_PROMPT]Be brief.[/SYSTEM_PROMPT][INST]Why?[/INST]",
            [Turn("system", "Be brief."), Turn("user", "Why?")],
            "",
        ),
        (
            "<s>[AVAILABLE_TOOLS] [1][/AVAILABLE_TOOLS][INST] Why?[/INST][TOOL_CALLS]",
            [Turn("system", f"{TOOLS}\n[1]"), Turn("user", "Why?")],
            "",
        ),
        (
            "<s>[INST]Why?[/INST][TOOL_CALLS] []</s>[TOOL_RESULTS] 7[/TOOL_RESULTS]",
            [
                DEFAULT,
                Turn("user", "Why?"),
                Turn("assistant", "[TOOL_CALLS] []"),
                Turn("user", f"{RESULT}\n7"),
            ],
            "",
        ),
    ],
)
def test_a_prompt_has_turns(prompt: str, turns: list[Turn], beginning: str) -> None:
    assert read_prompt(prompt) == (turns, beginning)


@pytest.mark.parametrize("name", ["v1", "v3", "v7", "tekken", "tekken-v7"])
def test_the_turns_of_mistrals_own_templates_are_found(name: str) -> None:
    tokenizer = load_tokenizer(name)
    messages = [
        {"role": "user", "content": "Where is Zürich?"},
        {"role": "assistant", "content": "In Switzerland."},
        {"role": "user", "content": "How far?"},
    ]
    prompt = tokenizer.chat.encode(messages).tokens

    turns, beginning = read_prompt(tokenizer.to_prompt(prompt))
    assert [turn.role for turn in turns] == ["system", "user", "assistant", "user"]
    assert [turn.text for turn in turns[1:]] == [each["content"] for each in messages]
    assert beginning == ""


@pytest.mark.parametrize("name", ["v3", "v7", "tekken"])
def test_tools_are_told_in_the_system_message(name: str) -> None:
    tokenizer = load_tokenizer(name)
    asked = [{"role": "user", "content": "Rain?"}]
    prompt = tokenizer.chat.encode(asked, [WEATHER]).tokens

    system, user = read_prompt(tokenizer.to_prompt(prompt)).turns
    assert system.text.startswith(TOOLS)
    assert '"weather"' in system.text
    assert user == Turn("user", "Rain?")


def test_a_conversation_has_smollm2s_marks() -> None:
    spelled: Any = SimpleNamespace(bos=1, eos=2, encode_text=lambda text: [text])

    tokens: tuple[object, ...] = encode(read_prompt("<s>[INST] Why?[/INST] So"), spelled)
    assert tokens == (
        *(1, f"system\n{DEFAULT_SYSTEM}", 2, "\n"),
        *(1, "user\nWhy?", 2, "\n"),
        *(1, "assistant\nSo"),
    )
