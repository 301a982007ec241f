r"""Regular expressions with searches in linear time for any pattern and text.

The syntax is RE2's, with Python's meaning of `\w`, `\d` and `\s`: letters, digits and spaces of
every script. `\b` considers ASCII words only, and `$` matches only at the end of the text.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import re2

MAX_PATTERN_CHARACTERS = 10_000
MAX_MEMORY_BYTES = 8 << 20  # of a compiled pattern; RE2's default


class PatternError(ValueError):
    """A pattern can't be used. The message is a predicate: the caller names the pattern."""


class Found(NamedTuple):
    """One match, with positions in characters."""

    from_: int
    to: int
    text: str

    def start(self) -> int:
        return self.from_

    def end(self) -> int:
        return self.to

    def span(self) -> tuple[int, int]:
        return self.from_, self.to

    def group(self) -> str:
        """Return the matched text; groups inside a pattern are not captured."""
        return self.text


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern. Searching releases the GIL and captures only the whole match.

    `size` is the number of RE2's instructions, the maximum number of steps per byte of a search.
    `memory` is the limit of the compiled pattern in bytes.
    """

    pattern: str
    size: int
    memory: int
    _compiled: Any

    def search(self, text: str) -> Found | None:
        return next(_found(self._compiled.finditer(_encodable(text)), text), None)

    def finditer(self, text: str) -> Iterator[Found]:
        """Yield the matches from left to right, without overlaps."""
        return _found(self._compiled.finditer(_encodable(text)), text)

    def fullmatch(self, text: str) -> Found | None:
        found = self._compiled.fullmatch(_encodable(text))
        return Found(0, len(text), text) if found else None


def compile_pattern(
    text: str,
    *,
    dot_matches_newline: bool = False,
    ignore_case: bool = False,
    memory: int = MAX_MEMORY_BYTES,
) -> Pattern:
    """Compile a pattern. Raises `PatternError` if it can't be searched in linear time."""
    if len(text) > MAX_PATTERN_CHARACTERS:
        raise PatternError(f"is longer than {MAX_PATTERN_CHARACTERS:,} characters")
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.dot_nl = dot_matches_newline
    options.case_sensitive = not ignore_case
    options.max_mem = memory
    try:
        compiled = re2.compile(translate(text), options)
    except re2.error as error:
        raise PatternError(_sentence(error)) from error
    except UnicodeEncodeError as error:
        raise PatternError("contains a lone surrogate, which is not a character") from error
    return Pattern(text, compiled.programsize, memory, compiled)


# Python's shorthands as parts of an RE2 character class. The first and last item of each can't be
# an end of a range, so [\w-z] means the same as in Python.
_SHORTHANDS = {
    "d": r"\p{Nd}",
    "D": r"\P{Nd}",
    "w": r"\p{L}_\p{N}",
    # All categories except letters, numbers and, in Pc, the underscore.
    "W": r"\p{M}\p{Z}\p{S}\x{203f}\x{2040}\x{2054}\x{fe33}\x{fe34}\x{fe4d}-\x{fe4f}\x{ff3f}"
    r"\p{Pd}\p{Ps}\p{Pe}\p{Pi}\p{Pf}\p{Po}\p{C}",
    "s": r"\p{Zs}\t-\r\x1c-\x1f\x{85}\p{Zl}\p{Zp}",
    "S": r"\p{L}\x00-\x08\x0e-\x1b\x7f-\x{84}\x{86}-\x{9f}\p{M}\p{N}\p{P}\p{S}\p{Cf}\p{Co}",
}
_EITHER = r"(?P<unicode>\\u[0-9A-Fa-f]{4}|\\U[0-9A-Fa-f]{8})|(?P<other>\\.)"
_OUTSIDE = re.compile(
    r"(?P<quoted>\\Q.*?(?:\\E|$))|(?P<byte>\\C)|(?P<end_of_text>\\Z)"
    rf"|(?P<shorthand>\\[dDwWsS])|(?P<up_to>\{{,(?=\d+\}}))|(?P<class>\[\^?\]?)|{_EITHER}",
    re.DOTALL,
)
_IN_CLASS = re.compile(
    rf"(?P<shorthand_in_class>\\[dDwWsS])|(?P<posix>\[:\^?\w+:\])|(?P<end>\])|{_EITHER}", re.DOTALL
)


def translate(text: str) -> str:
    r"""Translate Python's syntax to RE2's: shorthands, `\Z`, `\uXXXX` and `{,n}`."""
    parts: list[str] = []
    at, in_class = 0, False
    while found := (_IN_CLASS if in_class else _OUTSIDE).search(text, at):
        kind, value = found.lastgroup, found[0]
        parts += [text[at : found.start()], _TRANSLATED.get(kind or "", str)(value)]
        in_class = kind == "class" or (in_class and kind != "end")
        at = found.end()
    return "".join([*parts, text[at:]])


def _shorthand(value: str) -> str:
    return f"[{_SHORTHANDS[value[1]]}]"


def _no_bytes(value: str) -> str:
    raise PatternError(f"uses {value}, which matches bytes; only characters are supported")


_TRANSLATED: dict[str, Callable[[str], str]] = {
    "byte": _no_bytes,
    "end_of_text": lambda _: r"\z",
    "unicode": lambda value: f"\\x{{{value[2:]}}}",
    "shorthand": _shorthand,
    "shorthand_in_class": lambda value: _SHORTHANDS[value[1]],
    "up_to": lambda _: "{0,",
}


# The beginning of RE2's error message, and our message for it.
_REFUSALS = {
    "invalid perl operator: (?=": "uses look-ahead, which cannot run in linear time",
    "invalid perl operator: (?!": "uses look-ahead, which cannot run in linear time",
    "invalid perl operator: (?<": "uses look-behind, which cannot run in linear time",
    "invalid perl operator: (?P": "uses a back-reference, which cannot run in linear time",
    "invalid perl operator: (?>": "uses an atomic group, which cannot run in linear time",
    "invalid perl operator: (?(": "uses a condition on a group, which cannot run in linear time",
    "bad repetition operator: *+": "uses a possessive repetition, which RE2 does not know",
    "bad repetition operator: ++": "uses a possessive repetition, which RE2 does not know",
    "bad repetition operator: ?+": "uses a possessive repetition, which RE2 does not know",
    "invalid repetition size": "repeats a part more than 1,000 times, which is more than RE2 does",
    "pattern too large": "is too large for linear time once its repetitions are spelled out",
    **{
        rf"invalid escape sequence: \{digit}": (
            "uses a back-reference, which cannot run in linear time"
        )
        for digit in range(1, 10)
    },
}


def _sentence(error: re2.error) -> str:
    said = error.args[0] if error.args else b""
    text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    known = next((ours for start, ours in _REFUSALS.items() if text.startswith(start)), None)
    return known or f"is not a valid regular expression: {text}"


def _encodable(text: str) -> str:
    """Return the text with U+FFFD for lone surrogates, which UTF-8 can't encode."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return re.sub("[\ud800-\udfff]", "\ufffd", text)
    return text


def _found(matches: Iterator[Any], text: str) -> Iterator[Found]:
    last = None
    for match in matches:
        start, end = match.span()
        if (start, end) != last:  # the binding returns an empty match at the end twice
            yield Found(start, end, text[start:end])
        last = start, end
