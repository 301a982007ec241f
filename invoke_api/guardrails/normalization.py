"""Normalized texts for the search of guardrails, and positions of findings in the original text.

Texts that look alike are normalized to the same text: NFKC replaces full-width letters and
ligatures, invisible characters are removed, dashes and digits of all scripts become ASCII. Guess:
the User Guide calls word filters an exact match; finding too much is the safer error.
"""

import re
import unicodedata
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from functools import cache, cached_property, lru_cache

WINDOW_CHARACTERS = 65_536  # normalized at once; more would hold the interpreter's lock too long
PIECE_CHARACTERS = 16  # normalized one by one if one of them is not plain
MAX_COMBINING_MARKS = 31  # per character, because sorting many of them takes long
MAX_EXPANSION = 6  # characters for one; characters that would become more (U+FDFA) are kept

# Unicode's Default_Ignorable_Code_Point, non-characters of the BMP, and controls except blanks.
IGNORED = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
    "\ufffe\uffff"
)
IGNORED_BEYOND = "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
FIRST_PLANE, BEYOND = "[\x00-\uffff]", "[\U00010000-\U0010ffff]"
DASHES = "\u058a\u2010-\u2015\u2212\u2e3a\u2e3b\ufe58\ufe63\uff0d"
_IGNORED = re.compile(f"[{IGNORED}{IGNORED_BEYOND}]")
_CONTROLS = bytes(code for code in range(128) if _IGNORED.match(chr(code)))
_DASH = re.compile(f"[{DASHES}]")
_DIGIT = re.compile(r"[^\D0-9]")
_JAMO = "\u1160-\u11ff"  # vowels and final consonants, which join the character before them


class NormalizedText:
    """A normalized text. `to_original` maps its positions to positions in the original text."""

    def __init__(self, original: str, change: Callable[[str], str]) -> None:
        self._change = change
        # For each stretch: its start in the normalized and in the original text, and whether both
        # texts are the same there.
        self._starts, self._original_starts, self._same = array("Q"), array("Q"), bytearray()
        self._length = 0
        parts = [part for window in _windows(original) for part in self._take(*window)]
        self.text = "".join(parts)
        self._original_starts.append(len(original))

    def _take(self, start: int, window: str) -> Iterator[str]:
        if (same := _unchanged(window, self._change)) is not None:
            self._note(start, len(same), is_same=True)
            yield same
            return
        for piece in _pieces().findall(window):
            if (same := _unchanged(piece, self._change)) is not None:
                self._note(start, len(same), is_same=True)
                yield same
            else:
                yield from self._change_each(start, piece)
            start += len(piece)

    def _change_each(self, start: int, piece: str) -> Iterator[str]:
        change, was_same = self._change, False
        for cluster in _clusters().findall(piece):
            text = change(cluster)
            is_same = len(cluster) == len(text) == 1
            if is_same and was_same:
                self._length += 1
            else:
                self._note(start, len(text), is_same=is_same)
            was_same = is_same
            start += len(cluster)
            yield text

    def _note(self, original_start: int, length: int, *, is_same: bool) -> None:
        if not (is_same and self._same and self._same[-1]):
            self._starts.append(self._length)
            self._original_starts.append(original_start)
            self._same.append(is_same)
        self._length += length

    def to_original(self, start: int, end: int) -> tuple[int, int]:
        """Return a span in the original text, of whole characters with their combining marks."""
        first = bisect_right(self._starts, start) - 1
        last = bisect_left(self._starts, end) - 1
        from_, to = self._original_starts[first], self._original_starts[last + 1]
        if self._same[first]:
            from_ += start - self._starts[first]
        if self._same[last]:
            to = self._original_starts[last] + end - self._starts[last]
        return from_, to


class SearchedText:
    """A text in all forms in which it is searched, each made when it is first needed."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def plain(self) -> NormalizedText:
        """Return the normalized text, in its original case."""
        return NormalizedText(self.text, _plain)

    @cached_property
    def folded(self) -> NormalizedText:
        """Return the normalized text, case-folded."""
        return NormalizedText(self.text, _folded)


def fold(text: str) -> str:
    return NormalizedText(text, _folded).text


def _windows(text: str) -> Iterator[tuple[int, str]]:
    """Yield windows with their starts. A window never splits a character from its marks."""
    start = 0
    while start < len(text):
        joined = _marks().match(text, start + WINDOW_CHARACTERS)
        end = joined.end() if joined else len(text)
        yield start, text[start:end]
        start = end


def _unchanged(text: str, change: Callable[[str], str]) -> str | None:
    """Return the changed text if each character stays one character, or None if some may not."""
    if text.isascii():
        if len(text.encode().translate(None, _CONTROLS)) < len(text):
            return None
    elif _odd().search(text) or not unicodedata.is_normalized("NFKC", text):
        return None
    if change is _plain:
        return text
    folded = _lower(text)
    return folded if len(folded) == len(text) else None


def _lower(text: str) -> str:
    """Return the case-folded text. Guess: dotted and dotless i are one letter, as in `re`."""
    if text.isascii():
        return text.lower()
    return text.casefold().replace("i\u0307", "i").replace("\u0131", "i")


@lru_cache(maxsize=4096)
def _plain(cluster: str) -> str:
    text = _IGNORED.sub("", _compatible(_IGNORED.sub("", cluster)))
    text = _DASH.sub("-", text)
    return _DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), text)


@lru_cache(maxsize=4096)
def _folded(cluster: str) -> str:
    return _compatible(_lower(_plain(cluster)))


def _compatible(cluster: str) -> str:
    text = unicodedata.normalize("NFKC", cluster)
    return text if len(text) <= MAX_EXPANSION * len(cluster) else cluster


def _one_of(is_wanted: Callable[[str], bool], ranges: str) -> str:
    """Return a pattern for a character of `ranges`, or a wanted one of Unicode's first two planes.

    Python tests a class with characters beyond the first plane range by range, which is slow, so
    these characters have a class of their own.
    """
    letters = "".join(filter(is_wanted, map(chr, range(0x20000))))
    first = f"[{ranges}{re.sub(BEYOND, '', letters)}]"
    return f"(?:{first}|(?={BEYOND})[{IGNORED_BEYOND}{re.sub(FIRST_PLANE, '', letters)}])"


@cache
def _extending() -> str:
    """Return a pattern for characters that join the character before them."""
    return _one_of(lambda each: unicodedata.category(each)[0] == "M", IGNORED + _JAMO)


@cache
def _odd() -> re.Pattern[str]:
    digits = _one_of(lambda each: each.isdecimal() and not each.isascii(), IGNORED + DASHES)
    return re.compile(digits)


@cache
def _marks() -> re.Pattern[str]:
    return re.compile(f"{_extending()}{{0,{MAX_COMBINING_MARKS}}}")


@cache
def _clusters() -> re.Pattern[str]:
    return re.compile(f"(?s:.){_extending()}{{0,{MAX_COMBINING_MARKS}}}")


@cache
def _pieces() -> re.Pattern[str]:
    return re.compile(f"(?s:.{{1,{PIECE_CHARACTERS}}}){_extending()}{{0,{MAX_COMBINING_MARKS}}}")
