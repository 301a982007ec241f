"""Search for a guardrail's phrases and patterns in a text, in time linear in the text."""

import re
from collections.abc import Callable, Iterator
from typing import Protocol

from invoke_api.guardrails.normalization import Normal, Reading, fold
from invoke_api.regex import Pattern

Span = tuple[int, int]  # in the text as it came


class Seeker(Protocol):
    def spans(self, reading: Reading) -> Iterator[Span]:
        """Yield the places in the text. No place is empty."""
        ...


class Phrases:
    """Phrases of whole words, in small letters or capitals, with any blanks between the words."""

    def __init__(self, phrases: list[str]) -> None:
        self._phrases = [_to_words(phrase) for phrase in phrases]

    def spans(self, reading: Reading) -> Iterator[Span]:
        normal = reading.folded
        for first, more in self._phrases:
            for start, end in _phrase_in(normal.text, first, more):
                yield normal.back(start, end)


def _to_words(phrase: str) -> tuple[str, re.Pattern[str]]:
    """Return the first word and a pattern of the others, which reads each of them once."""
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
    """A pattern of the operator's, searched in the original text and in the normalized text."""

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

    `pattern` begins with one character that belongs to no word. The character behind a match must
    belong to no word and not be in `not_before`. With `is_number`, no decimal point with a digit
    may follow. `trim` returns how many characters at the start of a match to leave out. `check`
    accepts or rejects the rest. `longest` is the greatest length of a match. After a rejected
    match, the search goes on inside it.
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

    def spans(self, reading: Reading) -> Iterator[Span]:
        normal = reading.plain
        for start, end in self.find(normal.text):
            yield normal.back(start, end)

    def find(self, text: str) -> Iterator[Span]:
        """Yield the places in a normalized text."""
        # All patterns begin with the character before a match, so the text gets one in front.
        for found in self._pattern.finditer("\n" + text):
            yield from self._in(text, found.start(), found.end() - 1)

    def _in(self, text: str, start: int, end: int) -> Iterator[Span]:
        """Yield the match if it is good, else the first good match that begins inside it."""
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


class Tail(Form):
    """The last `longest` characters of a match of the pattern, unless they begin inside a word."""

    def _in(self, text: str, start: int, end: int) -> Iterator[Span]:  # noqa: ARG002 - as of Form
        if self._is_good(text, end - self._longest, end):
            yield end - self._longest, end


def is_word(text: str, place: int) -> bool:
    """Tell whether this place has a letter, a digit or an underscore of any script."""
    if not 0 <= place < len(text):
        return False
    return text[place].isalnum() or text[place] == "_"
