"""The syntax of tool calls in the text of Mistral's models, with control tokens by name.

`list`, up to tokenizer v7:   some text[TOOL_CALLS] [{"name": "f", "arguments": {"a": 1}}]
`arguments`, v11 and later:   some text[TOOL_CALLS]f[ARGS]{"a": 1}[TOOL_CALLS]g[ARGS]{}
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

TOOL_CALLS_MARK = "[TOOL_CALLS]"
MAX_ARGUMENTS_DEPTH = 512  # levels, as in a body: JSON encoders recurse
# v11 puts the call's id between the name and the arguments.
CALL_HEAD = r"([^\[]+)(?:\[CALL_ID\][^\[]*)?\[ARGS\]"
WHOLE_CALL = re.compile(f"{CALL_HEAD}(.*)", re.DOTALL)
CALL_BEGINNING = re.compile(re.escape(TOOL_CALLS_MARK) + CALL_HEAD)
MAX_HEAD_CHARACTERS = 1_024  # before the arguments of a streamed call


@dataclass(frozen=True, slots=True)
class ToolCall:
    name: str
    arguments: dict[str, Any]


class NotCalls(ValueError):
    """The text after `TOOL_CALLS_MARK` has no valid calls of tools."""


class CallPiece(NamedTuple):
    """A part of a streamed call: its name at the beginning, a part of its arguments, or its end."""

    kind: Literal["begin", "arguments", "end"]
    text: str = ""


class CallStream:
    """An incremental parser of calls in the style `arguments`. It ignores the style `list`."""

    def __init__(self) -> None:
        self._rest = ""
        self._is_inside = False
        self.begun = 0  # number of calls

    def take(self, text: str) -> Iterator[CallPiece]:
        """Yield the pieces that the next text completes."""
        if not self._is_inside and len(self._rest) > MAX_HEAD_CHARACTERS:
            return  # not a call; parsing would take longer with each token
        self._rest += text
        while True:
            if self._is_inside:
                yield from self._write()
            if self._is_inside:
                return
            found = CALL_BEGINNING.match(self._rest)
            if not found:
                return
            self._rest = self._rest[found.end() :]
            self._is_inside = True
            self.begun += 1
            yield CallPiece("begin", found[1].strip())

    def _write(self) -> Iterator[CallPiece]:
        """Yield the arguments up to the next mark, or up to a possible beginning of it."""
        written, mark, behind = self._rest.partition(TOOL_CALLS_MARK)
        if not mark:
            written, behind = split_partial_token(written)
        self._rest = mark + behind
        if written:
            yield CallPiece("arguments", written)
        if mark:
            self._is_inside = False
            yield CallPiece("end")

    def finish(self) -> Iterator[CallPiece]:
        """Yield the end of a call that has begun."""
        if self._is_inside:
            self._is_inside = False
            if self._rest:  # an incomplete mark is part of the arguments
                yield CallPiece("arguments", self._rest)
            yield CallPiece("end")


def split_partial_token(text: str) -> tuple[str, str]:
    """Return the text, and the part at its end with which `TOOL_CALLS_MARK` may begin.

    A model may write the mark in ordinary letters, over several tokens.
    """
    start = text.rfind("[", -len(TOOL_CALLS_MARK) + 1)
    is_half = start >= 0 and TOOL_CALLS_MARK.startswith(text[start:])
    return (text[:start], text[start:]) if is_half else (text, "")


def write_calls(style: str, text: str, calls: Sequence[ToolCall]) -> str:
    """Return the text of an answer that ends with these calls."""
    return text + WRITERS[style](calls)


def split_calls(text: str) -> tuple[str, list[ToolCall]]:
    """Return the text before the calls, and the calls. Raises `NotCalls`."""
    before, mark, rest = text.partition(TOOL_CALLS_MARK)
    if not mark:
        return text, []
    try:
        if rest.lstrip().startswith("["):  # a list; no name begins with "["
            calls = [ToolCall(entry["name"], entry["arguments"]) for entry in json.loads(rest)]
        else:
            calls = [_read_call(part) for part in rest.split(TOOL_CALLS_MARK)]
        for call in calls:
            if not isinstance(call.name, str) or not isinstance(call.arguments, dict):
                raise NotCalls(rest)
            # Refuses half of a surrogate pair.
            json.dumps(call.arguments, ensure_ascii=False).encode()
            _check_depth(call.arguments)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise NotCalls(rest) from error
    return before, calls


def _check_depth(arguments: dict[str, Any]) -> None:
    """Raise `NotCalls` for arguments that are nested too deeply to be written as JSON."""
    level: list[dict[str, Any] | list[Any]] = [arguments]
    for _ in range(MAX_ARGUMENTS_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return
    raise NotCalls(f"deeper than {MAX_ARGUMENTS_DEPTH} levels")


def _inside(outer: dict[str, Any] | list[Any]) -> Iterator[dict[str, Any] | list[Any]]:
    values = outer.values() if isinstance(outer, dict) else outer
    return (each for each in values if isinstance(each, dict | list))


def _read_call(part: str) -> ToolCall:
    found = WHOLE_CALL.fullmatch(part.strip())
    if found is None:
        raise ValueError(part)
    return ToolCall(found[1].strip(), json.loads(found[2]))


def _as_list(calls: Sequence[ToolCall]) -> str:
    entries = [{"name": call.name, "arguments": call.arguments} for call in calls]
    return f"{TOOL_CALLS_MARK} {json.dumps(entries, ensure_ascii=False)}"


def _as_arguments(calls: Sequence[ToolCall]) -> str:
    return "".join(
        f"{TOOL_CALLS_MARK}{call.name}[ARGS]{json.dumps(call.arguments, ensure_ascii=False)}"
        for call in calls
    )


WRITERS = {"list": _as_list, "arguments": _as_arguments}
