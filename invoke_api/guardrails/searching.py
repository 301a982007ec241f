"""Where the phrases and patterns of a guardrail stand in a text, in time linear in the text."""

import re
from collections.abc import Callable, Iterator
from typing import Protocol

from invoke_api.guardrails.normalizing import Normal, Reading, fold
from invoke_api.patterns import Pattern

Span = tuple[int, int]  # in the text as it came


class Seeker(Protocol):
    def spans(self, reading: Reading) -> Iterator[Span]:
        """The places in the text; none is empty."""
        ...


class Phrases:
    """Whole words, in small letters or capitals, with any blanks between them."""

    def __init__(self, phrases: list[str]) -> None:
        self._phrases = [_to_words(phrase) for phrase in phrases]

    def spans(self, reading: Reading) -> Iterator[Span]:
        normal = reading.folded
        for first, more in self._phrases:
            for start, end in _phrase_in(normal.text, first, more):
                yield normal.back(start, end)


def _to_words(phrase: str) -> tuple[str, re.Pattern[str]]:
    """The first word and a pattern of the others, each of which is read once."""
    first, *others = fold(phrase).split()
    return first, re.compile("".join(rf"\s++{re.escape(word)}" for word in others))


def _phrase_in(text: str, first: str, more: re.Pattern[str]) -> Iterator[Span]:
    start = text.find(first)
    while start >= 0:
        found = more.match(text, start + len(first))
        if found and not is_word(text, start - 1) and not is_word(text, found.end()):
            yield start, found.end()
            start = text.find(first, found.end())
        else:
            start = text.find(first, start + 1)


class Regex:
    """A pattern of the operator's: in the text as it came, and in the normalized one."""

    def __init__(self, pattern: Pattern) -> None:
        self._pattern = pattern

    def spans(self, reading: Reading) -> Iterator[Span]:
        seen: set[Span] = set()
        if reading.plain.text != reading.text:
            seen = set(self._in(reading.plain))
            yield from sorted(seen)
        for found in self._pattern.finditer(reading.text):
            if found.start() < found.end() and found.span() not in seen:
                yield found.span()

    def _in(self, normal: Normal) -> Iterator[Span]:
        for found in self._pattern.finditer(normal.text):
            if found.start() < found.end():
                yield normal.back(*found.span())


class Form:
    """Data with a form of its own, not inside a longer word or number.

    `pattern` begins with one character that is none of a word. Behind its match stands none of a
    word either, none of `not_before`, and with `is_number` no decimal point with a digit. `check`
    is asked about the match. `longest` are the characters that a match has at most; if it is
    refused, one that begins inside it is looked for.
    """

    def __init__(
        self,
        pattern: Pattern,
        *,
        longest: int,
        is_number: bool = False,
        not_before: str = "",
        check: Callable[[str], bool] = bool,
    ) -> None:
        self._pattern = pattern
        self._not_before = not_before
        self._longest = longest
        self._is_number = is_number
        self._check = check

    def spans(self, reading: Reading) -> Iterator[Span]:
        normal = reading.plain
        for start, end in self.find(normal.text):
            yield normal.back(start, end)

    def find(self, text: str) -> Iterator[Span]:
        """The places in a normalized text."""
        # Before the first character stands one as well: all patterns begin with the one before.
        for found in self._pattern.finditer("\n" + text):
            yield from self._in(text, found.start(), found.end() - 1)

    def _in(self, text: str, start: int, end: int) -> Iterator[Span]:
        """The match if it is good, or the first good one that begins inside it."""
        limit = end
        while start < limit:
            if self._is_good(text, start, end):
                yield start, end
                return
            inside = self._pattern.search(text[start : end + self._longest])
            if inside is None:
                return
            start, end = start + inside.start() + 1, start + inside.end()

    def _is_good(self, text: str, start: int, end: int) -> bool:
        if is_word(text, end) or not self._check(text[start:end]):
            return False
        follows = text[end : end + 2]
        is_fraction = self._is_number and follows[:1] == "." and follows[1:].isdecimal()
        return not (is_fraction or (follows and follows[0] in self._not_before))


class Tail(Form):
    """The last `longest` characters of what the pattern finds, unless they begin inside a word."""

    def _in(self, text: str, start: int, end: int) -> Iterator[Span]:
        first = end - self._longest
        is_whole = first == start or not is_word(text, first - 1)
        if is_whole and self._is_good(text, first, end):
            yield first, end


def is_word(text: str, place: int) -> bool:
    """Whether a letter, a digit or an underscore of any script is there."""
    if not 0 <= place < len(text):
        return False
    return text[place].isalnum() or text[place] == "_"
