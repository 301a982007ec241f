"""Calls of tools as Mistral's models write them, in text whose control tokens are spelled out.

`list`, up to tokenizer v7:   some text[TOOL_CALLS] [{"name": "f", "arguments": {"a": 1}}]
`arguments`, v11 and later:   some text[TOOL_CALLS]f[ARGS]{"a": 1}[TOOL_CALLS]g[ARGS]{}
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

MARK = "[TOOL_CALLS]"
DEEPEST = 512  # levels of arguments, as in a body: JSON writers have a limited stack
# v11 puts the call's id between the name and the arguments.
HEAD = r"([^\[]+)(?:\[CALL_ID\][^\[]*)?\[ARGS\]"
CALL = re.compile(f"{HEAD}(.*)", re.DOTALL)
BEGINNING = re.compile(re.escape(MARK) + HEAD)
MAX_HEAD = 1_024  # characters before the arguments of a call that is streamed


@dataclass(frozen=True, slots=True)
class ToolCall:
    name: str
    arguments: dict[str, Any]


class NotCalls(ValueError):
    """What a model wrote behind `MARK` are no calls of tools."""


class Piece(NamedTuple):
    """A call begins with its `name`, goes on with `arguments` as they are written, and ends."""

    kind: Literal["begin", "arguments", "end"]
    text: str = ""


class CallStream:
    """Calls of the style `arguments` as they come; of the style `list` it sees none."""

    def __init__(self) -> None:
        self._rest = ""
        self._is_inside = False
        self.begun = 0  # calls

    def take(self, text: str) -> Iterator[Piece]:
        """Yield the pieces that the next text completes."""
        if not self._is_inside and len(self._rest) > MAX_HEAD:
            return  # no call begins so late, and parsing would take longer with each token
        self._rest += text
        while True:
            if self._is_inside:
                yield from self._write()
            if self._is_inside:
                return
            found = BEGINNING.match(self._rest)
            if not found:
                return
            self._rest = self._rest[found.end() :]
            self._is_inside = True
            self.begun += 1
            yield Piece("begin", found[1].strip())

    def _write(self) -> Iterator[Piece]:
        """Yield the arguments up to the next mark, or up to a possible beginning of one."""
        written, mark, behind = self._rest.partition(MARK)
        if not mark:
            written, behind = split_half_mark(written)
        self._rest = mark + behind
        if written:
            yield Piece("arguments", written)
        if mark:
            self._is_inside = False
            yield Piece("end")

    def finish(self) -> Iterator[Piece]:
        """Yield the end of a call that has begun."""
        if self._is_inside:
            self._is_inside = False
            if self._rest:  # an incomplete mark is part of the arguments
                yield Piece("arguments", self._rest)
            yield Piece("end")


def split_half_mark(text: str) -> tuple[str, str]:
    """Return the text, and the part at its end with which `MARK` may begin.

    A model may write the mark in ordinary letters, over several tokens.
    """
    start = text.rfind("[", -len(MARK) + 1)
    is_half = start >= 0 and MARK.startswith(text[start:])
    return (text[:start], text[start:]) if is_half else (text, "")


def write_calls(style: str, text: str, calls: Sequence[ToolCall]) -> str:
    """Return the text of an answer that ends with these calls."""
    return text + STYLES[style](calls)


def split_calls(text: str) -> tuple[str, list[ToolCall]]:
    """Return the text before the calls, and the calls. Raises `NotCalls`."""
    before, mark, rest = text.partition(MARK)
    if not mark:
        return text, []
    try:
        if rest.lstrip().startswith("["):  # a list; no name begins with "["
            calls = [ToolCall(entry["name"], entry["arguments"]) for entry in json.loads(rest)]
        else:
            calls = [_read_call(part) for part in rest.split(MARK)]
        for call in calls:
            if not isinstance(call.name, str) or not isinstance(call.arguments, dict):
                raise NotCalls(rest)
            json.dumps(call.arguments, ensure_ascii=False).encode()  # half of a surrogate pair?
            _check_depth(call.arguments)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise NotCalls(rest) from error
    return before, calls


def _check_depth(arguments: dict[str, Any]) -> None:
    """Raise `NotCalls` for arguments that are nested too deeply to be written as JSON."""
    level: list[dict[str, Any] | list[Any]] = [arguments]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return
    raise NotCalls(f"deeper than {DEEPEST} levels")


def _inside(outer: dict[str, Any] | list[Any]) -> Iterator[dict[str, Any] | list[Any]]:
    values = outer.values() if isinstance(outer, dict) else outer
    return (each for each in values if isinstance(each, dict | list))


def _read_call(part: str) -> ToolCall:
    found = CALL.fullmatch(part.strip())
    if found is None:
        raise ValueError(part)
    return ToolCall(found[1].strip(), json.loads(found[2]))


def _as_list(calls: Sequence[ToolCall]) -> str:
    entries = [{"name": call.name, "arguments": call.arguments} for call in calls]
    return f"{MARK} {json.dumps(entries, ensure_ascii=False)}"


def _as_arguments(calls: Sequence[ToolCall]) -> str:
    return "".join(
        f"{MARK}{call.name}[ARGS]{json.dumps(call.arguments, ensure_ascii=False)}" for call in calls
    )


STYLES = {"list": _as_list, "arguments": _as_arguments}
