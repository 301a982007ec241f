"""Tool calls, written and parsed in the syntax of each tokenizer version."""

from functools import cache

import pytest

from engine.tokenization.tokenizer import Tokenizer, load_tokenizer
from engine.tokenization.tool_calls import (
    MAX_ARGUMENTS_DEPTH,
    WRITERS,
    CallStream,
    NotCalls,
    ToolCall,
    split_calls,
    write_calls,
)

load = cache(load_tokenizer)
CALLS = [ToolCall("get_weather", {"city": "Zürich", "days": [1, 2.5]}), ToolCall("stop", {})]
WRITTEN = {
    "list": (
        'Wait.[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Zürich", "days":'
        ' [1, 2.5]}}, {"name": "stop", "arguments": {}}]'
    ),
    "arguments": (
        'Wait.[TOOL_CALLS]get_weather[ARGS]{"city": "Zürich", "days": [1, 2.5]}'
        "[TOOL_CALLS]stop[ARGS]{}"
    ),
}


@pytest.mark.parametrize("style", WRITERS)
def test_calls_are_written_and_read(style: str) -> None:
    written = write_calls(style, "Wait.", CALLS)

    assert written == WRITTEN[style]
    assert split_calls(written) == ("Wait.", CALLS)


def test_text_without_calls_is_text() -> None:
    assert split_calls(" [] {}") == (" [] {}", [])


def test_the_ids_of_v11_are_passed_over() -> None:
    assert split_calls("[TOOL_CALLS]f[CALL_ID]abc123DEF[ARGS]{}") == ("", [ToolCall("f", {})])


@pytest.mark.parametrize(
    "rest", ["", " 7", " [7]", " [{}]", " [", "f", "f[ARGS]", "f[ARGS]{", "[ARGS]{}", "[" * 9_999]
)
def test_what_is_no_call_is_told_apart(rest: str) -> None:
    with pytest.raises(NotCalls):
        split_calls(f"text[TOOL_CALLS]{rest}")


@pytest.mark.parametrize("name", ["v3", "v7", "tekken"])
def test_calls_are_tokens_of_their_own(name: str) -> None:
    tokenizer = load(name)
    text = write_calls(tokenizer.chat.calls_style, "Wait.", CALLS)
    tokens = tokenizer.encode_spelled(text)

    assert spell(tokenizer, tokens) == text
    assert len(tokens) < len(tokenizer.encode_text(text))
    assert "[TOOL_CALLS]" not in b"".join(tokenizer.pieces[token] for token in tokens).decode()


def spell(tokenizer: Tokenizer, tokens: list[int]) -> str:
    return b"".join(tokenizer.spelled[token] for token in tokens).decode()


def told(*texts: str) -> list[tuple[str, str]]:
    """Return the pieces of the calls in these texts, with the parts of arguments joined."""
    calls = CallStream()
    pieces = [piece for text in texts for piece in calls.take(text)] + [*calls.finish()]
    joined: list[tuple[str, str]] = []
    for kind, text in pieces:
        if joined and joined[-1][0] == kind == "arguments":
            joined[-1] = (kind, joined[-1][1] + text)
        else:
            joined.append((kind, text))
    return joined


@pytest.mark.parametrize("step", [1, 2, 100])
def test_calls_are_told_as_they_come(step: int) -> None:
    tokens = ["[TOOL_CALLS]", "f", "oo", "[ARGS]", '{"a', '": 1', "}", "[TOOL_CALLS]", "g"]
    tokens += ["[CALL_ID]", "abc", "[ARGS]", "{}"]
    texts = ["".join(tokens[start : start + step]) for start in range(0, len(tokens), step)]

    assert told(*texts) == [
        ("begin", "foo"),
        ("arguments", '{"a": 1}'),
        ("end", ""),
        ("begin", "g"),
        ("arguments", "{}"),
        ("end", ""),
    ]


def test_arguments_go_out_before_they_are_whole() -> None:
    calls = CallStream()

    assert [*calls.take('[TOOL_CALLS]f[ARGS]{"a')] == [("begin", "f"), ("arguments", '{"a')]
    assert [*calls.take('": 1}')] == [("arguments", '": 1}')]


def test_a_name_without_an_end_is_read_no_further() -> None:
    calls = CallStream()
    pieces = [piece for text in ("[TOOL_CALLS]", "a" * 1_024) for piece in calls.take(text)]

    assert pieces == []
    assert [*calls.take("[ARGS]{}")] == []


@pytest.mark.parametrize("step", [1, 5])
def test_a_mark_in_ordinary_letters_ends_the_arguments(step: int) -> None:
    text = '[TOOL_CALLS]f[ARGS]["[TOOL_C"][TOOL_CALLS]g[ARGS][TOOL_'
    texts = [text[start : start + step] for start in range(0, len(text), step)]

    assert told(*texts) == [
        ("begin", "f"),
        ("arguments", '["[TOOL_C"]'),
        ("end", ""),
        ("begin", "g"),
        ("arguments", "[TOOL_"),
        ("end", ""),
    ]


@pytest.mark.parametrize("text", ['[TOOL_CALLS] [{"name": "f", "arguments": {}}]', "[TOOL_CALLS]f"])
def test_of_calls_in_a_list_and_of_half_a_name_nothing_is_told(text: str) -> None:
    assert told(text) == []


@pytest.mark.parametrize(
    "form", ['[TOOL_CALLS]f[ARGS]{"a":%s}', '[TOOL_CALLS][{"name":"f","arguments":{"a":%s}}]']
)
def test_arguments_have_as_many_levels_as_a_body_may_have(form: str) -> None:
    levels = MAX_ARGUMENTS_DEPTH - 1
    assert split_calls(form % ("[" * levels + "]" * levels))[1]
    with pytest.raises(NotCalls):
        split_calls(form % ("[" * MAX_ARGUMENTS_DEPTH + "]" * MAX_ARGUMENTS_DEPTH))


def test_names_of_marks_may_stand_in_the_arguments_of_a_list() -> None:
    calls = [ToolCall("f", {"a": "[ARGS][CALL_ID]"}), ToolCall("g", {"[ARGS]{": 1})]

    assert split_calls(write_calls("list", "", calls)) == ("", calls)
