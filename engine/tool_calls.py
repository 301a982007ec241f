"""Calls of tools as Mistral's models write them, in text whose control tokens are spelled out.

`list`, up to tokenizer v7:   some text[TOOL_CALLS] [{"name": "f", "arguments": {"a": 1}}]
`arguments`, v11 and later:   some text[TOOL_CALLS]f[ARGS]{"a": 1}[TOOL_CALLS]g[ARGS]{}
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MARK = "[TOOL_CALLS]"
# v11 puts the call's id between the name and the arguments.
CALL = re.compile(r"([^\[]+)(?:\[CALL_ID\][^\[]*)?\[ARGS\](.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ToolCall:
    name: str
    arguments: dict[str, Any]


class NotCalls(ValueError):
    """What a model wrote behind `MARK` are no calls of tools."""


def write_calls(style: str, text: str, calls: Sequence[ToolCall]) -> str:
    """The text of an answer that ends with these calls."""
    return text + STYLES[style](calls)


def split_calls(text: str) -> tuple[str, list[ToolCall]]:
    """The text in front, and the calls. Raises `NotCalls`."""
    before, mark, rest = text.partition(MARK)
    if not mark:
        return text, []
    try:
        if "[ARGS]" in rest:
            calls = [_read_call(part) for part in rest.split(MARK)]
        else:
            calls = [ToolCall(entry["name"], entry["arguments"]) for entry in json.loads(rest)]
        for call in calls:
            if not isinstance(call.name, str) or not isinstance(call.arguments, dict):
                raise NotCalls(rest)
            json.dumps(call.arguments, ensure_ascii=False).encode()  # half of a surrogate pair?
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise NotCalls(rest) from error
    return before, calls


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
