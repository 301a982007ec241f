"""Matchers, which search a text for a guardrail's phrases and patterns in linear time."""

import re
from collections.abc import Callable, Iterator
from typing import Protocol

from invoke_api.guardrails.normalization import NormalizedText, SearchedText, fold
from invoke_api.regex import Pattern

Span = tuple[int, int]  # start and end in the original text


class Matcher(Protocol):
    """A search for one filter."""

    def spans(self, reading: SearchedText) -> Iterator[Span]:
        """Yield the places of matches. No place is empty."""
        ...


class PhraseMatcher:
    """A search for phrases of whole words, in any case, with any blanks between the words."""

    def __init__(self, phrases: list[str]) -> None:
        self._phrases = [_to_words(phrase) for phrase in phrases]

    def spans(self, reading: SearchedText) -> Iterator[Span]:
        normal = reading.folded
        for first, more in self._phrases:
            for start, end in _phrase_in(normal.text, first, more):
                yield normal.to_original(start, end)


def _to_words(phrase: str) -> tuple[str, re.Pattern[str]]:
    """Return the first word, and a pattern for the others that never backtracks."""
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


class RegexMatcher:
    """A search for an operator's pattern, in the original and in the normalized text."""

    def __init__(self, pattern: Pattern) -> None:
        self._pattern = pattern

    def spans(self, reading: SearchedText) -> Iterator[Span]:
        seen: set[Span] = set()
        if reading.plain.text != reading.text:
            seen = set(self._in(reading.plain))
            yield from sorted(seen)
        for found in self._pattern.finditer(reading.text):
            if found.start() < found.end() and found.span() not in seen:
                yield found.span()

    def _in(self, normal: NormalizedText) -> Iterator[Span]:
        for found in self._pattern.finditer(normal.text):
            if found.start() < found.end():
                yield normal.to_original(*found.span())


class FormatMatcher:
    """A search for data with a fixed format, not inside a longer word or number.

    `pattern` begins with one character that belongs to no word. The character after a match must
    belong to no word and not be in `not_before`. If `is_number`, no decimal point with a digit may
    follow. `trim` returns how many characters at the start of a match to leave out. `check` accepts
    or rejects the rest. `longest` is the maximum length of a match in characters. After a rejected
    match, the search continues inside it.
    """

    def __init__(
        self,
        pattern: Pattern,
        *,
        longest: int,
        is_number: bool = False,
        not_before: str = "",
        check: Callable[[str], bool] = bool,
        trim: Callable[[str], int] = lambda _: 0,
    ) -> None:
        self._pattern = pattern
        self._trim = trim
        self._not_before = not_before
        self._longest = longest
        self._is_number = is_number
        self._check = check

    def spans(self, reading: SearchedText) -> Iterator[Span]:
        normal = reading.plain
        for start, end in self.find(normal.text):
            yield normal.to_original(start, end)

    def find(self, text: str) -> Iterator[Span]:
        """Yield the places in a normalized text."""
        # All patterns begin with the character before a match, so the text needs one in front.
        for found in self._pattern.finditer("\n" + text):
            yield from self._in(text, found.start(), found.end() - 1)

    def _in(self, text: str, start: int, end: int) -> Iterator[Span]:
        """Yield the match if it is valid, else the first valid match that begins inside it."""
        limit = end
        while start < limit:
            start += self._trim(text[start:end])
            if self._is_good(text, start, end):
                yield start, end
                return
            inside = self._pattern.search(text[start : end + self._longest])
            if inside is None:
                return
            start, end = start + inside.start() + 1, start + inside.end()

    def _is_good(self, text: str, start: int, end: int) -> bool:
        if is_word(text, start - 1) or is_word(text, end) or not self._check(text[start:end]):
            return False
        follows = text[end : end + 2]
        is_fraction = self._is_number and follows[:1] == "." and follows[1:].isdecimal()
        return not (is_fraction or (follows and follows[0] in self._not_before))


class TailMatcher(FormatMatcher):
    """A search for the last `longest` characters of a match that do not begin inside a word."""

    def _in(self, text: str, start: int, end: int) -> Iterator[Span]:  # noqa: ARG002 - as of Form
        if self._is_good(text, end - self._longest, end):
            yield end - self._longest, end


def is_word(text: str, place: int) -> bool:
    """Tell whether the character at this place is a letter or digit of any script, or `_`."""
    if not 0 <= place < len(text):
        return False
    return text[place].isalnum() or text[place] == "_"
