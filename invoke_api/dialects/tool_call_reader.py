"""What of an answer is text, and what are calls of tools: as it comes, and once it is whole."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Protocol

from engine.tokenization.control_tokens import TOOL_MARKS
from engine.tokenization.tool_calls import MARK, NotCalls, ToolCall, split_calls, split_half_mark

MARKS = re.compile("|".join(map(re.escape, TOOL_MARKS)))


class AnswerReader(Protocol):
    """A reader that tells text from tool calls in an answer. It reads all text that clients see."""

    @property
    def is_holding(self) -> bool:
        """Tell whether the text that comes now may belong to a call."""
        ...

    @property
    def held_now(self) -> str:
        """The part of the text taken last that may belong to a call."""
        ...

    def take(self, text: str) -> str:
        """Return the part of the next text that can go out now."""
        ...

    def finish(self) -> tuple[str, list[ToolCall]]:
        """Return the held text that is no call, and the calls."""
        ...


@dataclass(slots=True)
class CallReader:
    """The reader of an answer in which `MARK` begins the calls.

    `forced` is for a prompt that ends with `MARK`. `spaced` removes a space before the first word.
    `offered` are the names of the tools that may be called; calls of other tools are text. None
    allows all calls.
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
            self._held.append(MARK)

    @property
    def is_holding(self) -> bool:
        return bool(self._held)

    def take(self, text: str) -> str:
        if self._held:
            self.held_now = text if len(self._held) > 1 or not self.forced else MARK + text
            self._held.append(text)
            return ""
        if self._half or "[" in text:
            text = self._up_to_mark(self._half + text)
        return self._unspaced(text)

    def _up_to_mark(self, text: str) -> str:
        before, mark, rest = text.partition(MARK)
        self._half = ""
        if mark:
            self._held += [mark, rest]
            self.held_now = mark + rest
        else:
            before, self._half = split_half_mark(before)
        return before

    def _unspaced(self, text: str) -> str:
        if self._is_first and text:
            self._is_first = False
            return text.removeprefix(" ") if self.spaced else text
        return text

    def finish(self) -> tuple[str, list[ToolCall]]:
        """Return the held text that is no call, without the names of marks, and the calls."""
        held = "".join(self._held) + self._half
        # A rule's calls come with a mark of their own, those of a model that is forced without.
        for text in (held, held.removeprefix(MARK)) if self.forced else (held,):
            before, calls = self._split(text)
            if calls:
                break
        if not calls:
            before = MARKS.sub("", before)
        return self._unspaced(before), calls

    def _split(self, text: str) -> tuple[str, list[ToolCall]]:
        try:
            before, calls = split_calls(text)
        except NotCalls:
            return text, []
        is_offered = self.offered is None or all(call.name in self.offered for call in calls)
        return (before, calls) if is_offered else (text, [])


class TextReader:
    """The reader of an answer that is all text, whatever marks it contains."""

    is_holding = False
    held_now = ""

    def take(self, text: str) -> str:
        return text

    def finish(self) -> tuple[str, list[ToolCall]]:
        return "", []


@dataclass(slots=True)
class ToldReader:
    """The reader of an answer that was read before: it passes the text and the `calls` on."""

    calls: list[ToolCall] = field(default_factory=list)
    held_now: str = ""

    @property
    def is_holding(self) -> bool:
        """Tell whether there are calls. Tokens without text are left out in front of a call."""
        return bool(self.calls)

    def take(self, text: str) -> str:
        return text

    def finish(self) -> tuple[str, list[ToolCall]]:
        return "", self.calls
