"""Regular expressions: matches, rejected patterns, and linear time for any text."""

import re
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_api.regex import MAX_PATTERN_CHARACTERS, Found, PatternError, compile_pattern

LINEAR = "cannot run in linear time"
REFUSED = {
    "(?=a)b": f"uses look-ahead, which {LINEAR}",
    "a(?!b)": f"uses look-ahead, which {LINEAR}",
    "(?<=a)b": f"uses look-behind, which {LINEAR}",
    "(?<!a)b": f"uses look-behind, which {LINEAR}",
    r"(a)\1": f"uses a back-reference, which {LINEAR}",
    "(?P<x>a)(?P=x)": f"uses a back-reference, which {LINEAR}",
    "(?>a)b": f"uses an atomic group, which {LINEAR}",
    "(a)?(?(1)b|c)": f"uses a condition on a group, which {LINEAR}",
    "a++": "uses a possessive repetition, which RE2 does not know",
    "a{1,2000}": "repeats a part more than 1,000 times, which is more than RE2 does",
    r"(?:\w{1,1000})": "is too large for linear time once its repetitions are spelled out",
    r"\C": r"uses \C, which matches bytes; only characters are supported",
    "(": "is not a valid regular expression: missing ): (",
    "[a": "is not a valid regular expression: missing ]: [a",
    "\\": "is not a valid regular expression: trailing \\",
    "\ud800": "contains a lone surrogate, which is not a character",
    "a" * (MAX_PATTERN_CHARACTERS + 1): "is longer than 10,000 characters",
}


@pytest.mark.parametrize(("pattern", "sentence"), REFUSED.items(), ids=range(len(REFUSED)))
def test_a_pattern_that_cannot_be_linear_is_refused_with_a_sentence(
    pattern: str, sentence: str
) -> None:
    with pytest.raises(PatternError) as caught:
        compile_pattern(pattern)

    assert str(caught.value) == sentence


# Python's own answer is the right one for each of these.
PYTHONS = [
    r"\w+",
    r"[^\W\d_]+",
    r"[\w-]+",
    r"[\s\d]+",
    r"[\S]+",
    r"[^\S\n]+",
    r"\W+",
    r"\D+\d",
    r"\S+\s",
    r"a{,2}b",
    r"[{,2}]+",
    r"\u00e4+",
    r"\Z",
    r"[]a]+",
    r"[^]a]+",
    r"\[\w\]",
    r"\\w",
    r"(?i)ÄB",
    r"(?P<year>\d{4})-(\d\d)",
    r"a|ab|\.",
    r"[a\]b]+",
    r"x*",
]
TEXT = st.text("aäÄbx ñß漢٣5-_{},2]\\w[\n\t\u00a0\u2028.é", max_size=12)


@pytest.mark.parametrize("pattern", PYTHONS)
@given(text=TEXT)
def test_a_pattern_means_what_it_means_to_python(pattern: str, text: str) -> None:
    with_python = [found.span() for found in re.finditer(pattern, text)]
    found = list(compile_pattern(pattern).finditer(text))
    first = compile_pattern(pattern).search(text)

    if pattern != "x*":  # Python finds one more empty match, right after another match
        assert [each.span() for each in found] == with_python
    assert (first.span() if first else None) == next(iter(with_python), None)
    assert bool(compile_pattern(pattern).fullmatch(text)) == bool(re.fullmatch(pattern, text))
    assert all(each.group() == text[each.start() : each.end()] for each in found)


def test_a_dot_takes_a_newline_only_where_it_is_told_to() -> None:
    assert compile_pattern("a.b").search("a\nb") is None
    assert compile_pattern("a.b", dot_matches_newline=True).search("a\nb") == Found(0, 3, "a\nb")
    assert compile_pattern("äB", ignore_case=True).search("xÄb") == Found(1, 3, "Äb")


def test_half_of_a_surrogate_pair_is_a_character_like_others() -> None:
    assert compile_pattern("b").search("a\ud800b") == Found(2, 3, "b")
    assert compile_pattern("^a.b$").fullmatch("a\ud800b") == Found(0, 3, "a\ud800b")


@pytest.mark.parametrize("pattern", ["^(a+)+$", "(a|a)*b", "(a|aa)+$", "(?:a?){30}a{30}!"])
def test_no_pattern_takes_exponential_time(pattern: str) -> None:
    text = "a" * 50_000 + "!"
    began = time.monotonic()

    compile_pattern(pattern).search(text)

    assert time.monotonic() - began < 5


@pytest.mark.slow
def test_a_search_leaves_the_interpreter_to_other_threads() -> None:
    slow = compile_pattern("[a-q][^u-z]{1,1000}x", memory=1 << 20)
    text = "aä1b" * 100_000
    searching = threading.Thread(target=slow.search, args=[text])
    searching.start()
    turns = 0
    while searching.is_alive():
        time.sleep(0.001)
        turns += 1

    assert turns > 20
