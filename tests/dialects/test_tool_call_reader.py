"""Separation of text and calls: a split answer gives the same result as the whole answer."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from engine.tokenization.tool_calls import ToolCall
from invoke_api.dialects.tool_call_reader import CallReader

CALL = '[TOOL_CALLS] [{"name": "f", "arguments": {}}]'
PIECES = ["[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "[TOOL_", "CALLS]", "[", "]", " ", "a", CALL]


@given(
    words=st.lists(st.sampled_from(PIECES), max_size=8),
    cuts=st.sets(st.integers(0, 80)),
    forced=st.booleans(),
    spaced=st.booleans(),
    offered=st.sampled_from([None, frozenset[str](), frozenset({"f"})]),
)
def test_an_answer_in_pieces_is_read_as_the_whole(
    words: list[str],
    cuts: set[int],
    forced: bool,  # noqa: FBT001 - from hypothesis
    spaced: bool,  # noqa: FBT001 - from hypothesis
    offered: frozenset[str] | None,
) -> None:
    text = "".join(words)
    borders = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[start:end] for start, end in pairwise(borders)]

    assert read(CallReader(forced, spaced, offered), pieces) == read(
        CallReader(forced, spaced, offered), [text]
    )


def read(reader: CallReader, pieces: list[str]) -> tuple[str, list[ToolCall]]:
    text = "".join(map(reader.take, pieces))
    rest, calls = reader.finish()
    return text + rest, calls


def test_calls_of_tools_that_were_not_offered_are_text() -> None:
    assert read(CallReader(), [CALL]) == ("", [ToolCall("f", {})])
    assert read(CallReader(offered={"f"}), [CALL]) == ("", [ToolCall("f", {})])
    assert read(CallReader(offered={"g"}), [CALL]) == (CALL.removeprefix("[TOOL_CALLS]"), [])
