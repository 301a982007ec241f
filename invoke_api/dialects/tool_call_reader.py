"""Readers that separate the text of an answer from its tool calls, token by token."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Protocol

from engine.tokenization.control_tokens import TOOL_CONTROL_TOKENS
from engine.tokenization.tool_calls import (
    TOOL_CALLS_MARK,
    NotCalls,
    ToolCall,
    split_calls,
    split_partial_token,
)

TOOL_MARK = re.compile("|".join(map(re.escape, TOOL_CONTROL_TOKENS)))


class AnswerReader(Protocol):
    """A reader that tells text from tool calls in an answer. It reads all text that clients see."""

    @property
    def is_holding(self) -> bool:
        """Tell whether the text that comes now may belong to a call."""
        ...

    @property
    def held_now(self) -> str:
        """Return the part of the text taken last that may belong to a call."""
        ...

    def take(self, text: str) -> str:
        """Return the part of this text that can go out now."""
        ...

    def finish(self) -> tuple[str, list[ToolCall]]:
        """Return the held text that turned out not to be a call, and the calls."""
        ...


@dataclass(slots=True)
class CallReader:
    """A reader of an answer in which `TOOL_CALLS_MARK` begins the calls.

    `forced` is True for a prompt that ends with this mark. `spaced` removes a space before the
    first word. `offered` are the names of the tools that may be called; calls of other tools are
    text. None allows all calls.
    """

    forced: bool = False
    spaced: bool = False
    offered: Collection[str] | None = None
    held_now: str = ""
    _held: list[str] = field(default_factory=list)
    _half: str = ""  # of a mark
    _is_first: bool = True

    def __post_init__(self) -> None:
        if self.forced:
            self._held.append(TOOL_CALLS_MARK)

    @property
    def is_holding(self) -> bool:
        return bool(self._held)

    def take(self, text: str) -> str:
        if self._held:
            self.held_now = (
                text if len(self._held) > 1 or not self.forced else TOOL_CALLS_MARK + text
            )
            self._held.append(text)
            return ""
        if self._half or "[" in text:
            text = self._up_to_mark(self._half + text)
        return self._unspaced(text)

    def _up_to_mark(self, text: str) -> str:
        before, mark, rest = text.partition(TOOL_CALLS_MARK)
        self._half = ""
        if mark:
            self._held += [mark, rest]
            self.held_now = mark + rest
        else:
            before, self._half = split_partial_token(before)
        return before

    def _unspaced(self, text: str) -> str:
        if self._is_first and text:
            self._is_first = False
            return text.removeprefix(" ") if self.spaced else text
        return text

    def finish(self) -> tuple[str, list[ToolCall]]:
        """Return the held text that is no call, without control tokens, and the calls."""
        held = "".join(self._held) + self._half
        # If a call is forced, a rule's calls come with a mark, a model's calls without one.
        for text in (held, held.removeprefix(TOOL_CALLS_MARK)) if self.forced else (held,):
            before, calls = self._split(text)
            if calls:
                break
        if not calls:
            before = TOOL_MARK.sub("", before)
        return self._unspaced(before), calls

    def _split(self, text: str) -> tuple[str, list[ToolCall]]:
        try:
            before, calls = split_calls(text)
        except NotCalls:
            return text, []
        is_offered = self.offered is None or all(call.name in self.offered for call in calls)
        return (before, calls) if is_offered else (text, [])


class TextReader:
    """A reader of an answer that is all text, even if it contains control tokens."""

    is_holding = False
    held_now = ""

    def take(self, text: str) -> str:
        return text

    def finish(self) -> tuple[str, list[ToolCall]]:
        return "", []


@dataclass(slots=True)
class PassThroughReader:
    """A reader of an answer that another reader has read: it returns its text and `calls`."""

    calls: list[ToolCall] = field(default_factory=list)
    held_now: str = ""

    @property
    def is_holding(self) -> bool:
        """Tell whether there are calls, so that no event is written for a token without text."""
        return bool(self.calls)

    def take(self, text: str) -> str:
        return text

    def finish(self) -> tuple[str, list[ToolCall]]:
        return "", self.calls
