"""Conversations in the chat templates of each version."""

from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.protocol.instruct.validator import ValidationMode
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

from engine.errors import ChatRefused
from engine.tokenization.mistral_files import carried
from engine.tokenization.tokenizer import MISTRAL, load_tokenizer
from tests.engine.tokenization.test_words import TEXTS

load = cache(load_tokenizer)
USER = {"role": "user", "content": "Hi"}
SYSTEM = {"role": "system", "content": "Be brief"}
TOOL = {
    "type": "function",
    "function": {"name": "f", "description": "d", "parameters": {"type": "object"}},
}


def called(tool_call_id: str) -> list[dict[str, Any]]:
    call = {"id": tool_call_id, "function": {"name": "f", "arguments": "{}"}}
    return [
        USER,
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": tool_call_id, "content": "7"},
    ]


@pytest.mark.parametrize("name", ["v3", "v7", "tekken"])
def test_a_message_stands_between_its_marks(name: str) -> None:
    tokenizer = load(name)
    prompt = tokenizer.chat.encode([USER]).tokens

    assert prompt[:2] == (tokenizer.bos, 3)
    assert prompt[-1] == 4
    assert len(prompt) == 4
    assert prompt[2] in tokenizer.encode_text(" Hi") + tokenizer.encode_text("Hi")


@pytest.mark.parametrize(("name", "mark"), [("v3", None), ("v7", 16), ("tekken", 17)])
def test_system_messages_have_marks_of_their_own_since_v7(name: str, mark: int | None) -> None:
    prompt = load(name).chat.encode([SYSTEM, USER]).tokens

    assert prompt[1] == (mark or 3)


@pytest.mark.parametrize("name", ["v3", "v7", "tekken"])
def test_tools_and_their_results_are_part_of_the_prompt(name: str) -> None:
    chat = load(name).chat
    plain, offered = chat.encode([USER]).tokens, chat.encode([USER], [TOOL]).tokens
    answered = chat.encode(called("abcd12345"), [TOOL]).tokens

    assert len(plain) < len(offered) < len(answered)


@pytest.mark.parametrize("name", ["v2", "v3", "v7", "tekken"])
def test_each_result_of_a_turn_stands_between_its_own_marks(name: str) -> None:
    tokenizer = load(name)
    calls = [
        called(tool_call_id)[1]["tool_calls"][0] for tool_call_id in ("abcd12345", "abcd12346")
    ]
    results = [
        {"role": "tool", "name": "f", "tool_call_id": call["id"], "content": f"{number} seas"}
        for number, call in enumerate(calls)
    ]
    assistant = {"role": "assistant", "content": "", "tool_calls": calls}
    prompt = tokenizer.to_prompt(tokenizer.chat.encode([USER, assistant, *results], [TOOL]).tokens)

    assert prompt.count("[TOOL_RESULTS]") == 2
    if name == "v2":
        assert prompt.endswith(
            '[TOOL_RESULTS] [{"name": "f", "content": "0 seas"}][/TOOL_RESULTS]'
            '[TOOL_RESULTS] [{"name": "f", "content": "1 seas"}][/TOOL_RESULTS]'
        )


def test_the_models_of_2025_read_calls_without_ids() -> None:
    tokenizer = load("tekken")
    ended = [{"role": "assistant", "content": "Seven."}, USER]
    prompt = tokenizer.chat.encode([*called("abcd12345"), *ended], [TOOL]).tokens
    text = tokenizer.to_prompt(prompt)

    assert text.startswith("[AVAILABLE_TOOLS]")  # once, at the beginning
    assert "[INST]Hi[/INST][TOOL_CALLS]f[ARGS]{}</s>[TOOL_RESULTS]7[/TOOL_RESULTS]Seven." in text


REFUSALS: list[tuple[list[dict[str, Any]], str]] = [
    ([], "Conversation must have at least one message"),
    (
        [USER, {"role": "assistant", "content": "a"}],
        "Expected last role User or Tool (or Assistant with prefix) for serving but got assistant",
    ),
    # Bedrock was recorded to say the same.
    (called("abc"), "Tool call id was abc but must be a-z, A-Z, 0-9, with a length of 9."),
    (
        [{"role": "user", "content": 7}],
        "messages.0.user.content.str: Input should be a valid string",
    ),
]


@pytest.mark.parametrize("name", ["v3", "v7", "tekken"])
@pytest.mark.parametrize(("messages", "sentence"), REFUSALS)
def test_what_is_no_conversation_is_refused_in_mistrals_words(
    name: str, messages: list[dict[str, Any]], sentence: str
) -> None:
    with pytest.raises(ChatRefused) as caught:
        load(name).chat.encode(messages)

    assert str(caught.value) == sentence


def test_weights_bring_their_own_tekken(tmp_path: Any) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no tekken\.json in"):
        load_tokenizer("tekken", str(tmp_path))


@cache
def reference(name: str) -> MistralTokenizer[Any, Any, Any, Any, Any]:
    return MistralTokenizer.from_file(carried(MISTRAL[name].file), mode=ValidationMode.serving)


@given(text=TEXTS.filter(str.strip), speaks=st.booleans(), calls=st.booleans())
@pytest.mark.parametrize("name", ["v1", "v2", "v3", "v7"])
def test_a_conversation_has_the_tokens_of_the_reference(
    name: str, text: str, *, speaks: bool, calls: bool
) -> None:
    messages = [{"role": "user", "content": text}]
    if speaks:
        messages += [{"role": "assistant", "content": text}, messages[0]]
    tools = [TOOL] if calls and name != "v1" else []
    document = {"messages": messages, "tools": tools or None, "model": "any"}
    request: ChatCompletionRequest[Any] = ChatCompletionRequest.model_validate(document)
    expected = reference(name).encode_chat_completion(request).tokens

    assert load(name).chat.encode(messages, tools).tokens == tuple(expected)
