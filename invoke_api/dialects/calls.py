"""What of an answer is text, and what are calls of tools: as it comes, and once it is whole."""

import re
from dataclasses import dataclass, field

from engine.marks import TOOL_MARKS
from engine.tool_calls import MARK, NotCalls, ToolCall, split_calls

MARKS = re.compile("|".join(map(re.escape, TOOL_MARKS)))


@dataclass(slots=True)
class CallReader:
    """`forced` is for a prompt that ends with `MARK`; `spaced` takes a space off the first word."""

    forced: bool = False
    spaced: bool = False
    held_now: str = ""  # of the text that was taken last
    _held: list[str] = field(default_factory=list)
    _is_first: bool = True

    def __post_init__(self) -> None:
        if self.forced:
            self._held.append(MARK)

    @property
    def is_holding(self) -> bool:
        """Whether what comes now belongs to a call."""
        return bool(self._held)

    def take(self, text: str) -> str:
        """The part of the next text that is no call, and can go out now."""
        if self._held:
            self.held_now = text if len(self._held) > 1 or not self.forced else MARK + text
            self._held.append(text)
            return ""
        before, mark, rest = text.partition(MARK)
        if mark:
            self._held += [mark, rest]
            self.held_now = mark + rest
        if self._is_first and before:
            self._is_first = False
            before = before.removeprefix(" ") if self.spaced else before
        return before

    def finish(self) -> tuple[str, list[ToolCall]]:
        """The text that was held and is no call, without the names of marks; and the calls."""
        held = "".join(self._held)
        # A rule's calls come with a mark of their own, those of a model that is forced without.
        for text in (held, held.removeprefix(MARK)) if self.forced else (held,):
            try:
                before, calls = split_calls(text)
            except NotCalls:
                before, calls = text, []
            if calls:
                break
        if not calls:
            before = MARKS.sub("", before)
        return before.removeprefix(" ") if self._is_first and self.spaced else before, calls
