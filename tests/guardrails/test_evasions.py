"""Disguised texts: guardrails find each of them and mask all of it."""

import time
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_api.guardrails.guardrail import Guardrail
from invoke_api.guardrails.normalization import MAX_EXPANSION, WINDOW_CHARACTERS, SearchedText, fold
from invoke_api.guardrails.pii import PII
from invoke_api.guardrails.scanner import MAX_FINDINGS, TextBlock, assess
from invoke_api.yaml_files import ConfigError
from tests.guardrails.made import read, sensitive, words

WORDS, _ = read(**words("straße", "secret", "blue moon", "istanbul", "c++"))


def masked(guardrail: Guardrail, text: str) -> str:
    return assess(guardrail, "OUTPUT", [TextBlock(text)]).texts[0]


@pytest.mark.parametrize(
    "text",
    [
        "STRASSE",
        "Straße",
        "STRAẞE",
        "secret",
        "ＳＥＣＲＥＴ",
        "𝓼𝓮𝓬𝓻𝓮𝓽",
        "ſecret",
        "s\u200be\u200cc\u200dr\u2060e\ufefft",
        "se\u00adcret",
        "\u200bsecret\u200b",
        "blue\n\t moon",
        "blue\u00a0\u2003moon",
        "blue \u200b moon",
        "İSTANBUL",
        "ıstanbul",
        "C++",
        "C＋＋",
        "(secret)",
        "漢 secret 字",
    ],
)
def test_a_word_is_found_however_it_is_written(text: str) -> None:
    assert assess(WORDS, "OUTPUT", [TextBlock(f"so {text}, so")]).is_blocked
    assert assess(WORDS, "OUTPUT", [TextBlock(text)]).is_blocked


@pytest.mark.parametrize(
    "text",
    ["secreté", "ésecret", "secrets", "_secret", "secret1", "漢secret", "bluemoon", "strasser"],
)
def test_a_word_inside_a_longer_one_is_not_found(text: str) -> None:
    assert not assess(WORDS, "OUTPUT", [TextBlock(text)]).intervened


PERSONAL, _ = read(
    **sensitive(
        {"EMAIL": "ANONYMIZE", "US_SOCIAL_SECURITY_NUMBER": "ANONYMIZE"}, {"Id": "ID-[0-9]+"}
    )
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("to a@b.org, now", "to {EMAIL}, now"),
        ("to a\u200b@\u200bb.o\u00adrg, now", "to {EMAIL}, now"),
        ("to ａ＠ｂ．ｏｒｇ!", "to {EMAIL}!"),
        ("123-45-6789", "{US_SOCIAL_SECURITY_NUMBER}"),
        ("1\u200b23-45-678\u200b9", "{US_SOCIAL_SECURITY_NUMBER}"),
        ("１２３－４５－６７８９", "{US_SOCIAL_SECURITY_NUMBER}"),
        ("123\u201145\u20116789", "{US_SOCIAL_SECURITY_NUMBER}"),
        ("١٢٣-٤٥-٦٧٨٩", "{US_SOCIAL_SECURITY_NUMBER}"),
        ("é 123-45-6789é", "é 123-45-6789é"),  # inside a word
        ("ID-7\u200b7", "{Id}"),
        ("ＩＤ－７", "{Id}"),
    ],
)
def test_personal_data_is_hidden_whole_however_it_is_written(text: str, said: str) -> None:
    assert masked(PERSONAL, text) == said


def test_a_pattern_is_found_in_the_text_as_it_came_too() -> None:
    guardrail, _ = read(**sensitive(regexes={"Wide": "Ａ+", "Soft": "a\u00adb"}))

    assert masked(guardrail, "xＡＡx a\u00adb ab") == "x{Wide}x {Soft} ab"


@pytest.mark.parametrize(
    ("regexes", "text", "said"),
    [
        (
            {"Customer": r"customer \w+", "Address": r"[A-Z]\w+ Main Street \d+"},
            "customer Jane Main Street 12!",
            "{Customer}!",
        ),
        ({"Customer": r"customer \w+"}, "customer jane@y.zz.", "{Customer}."),
        ({"A": "abc", "B": "bcd", "C": "de"}, "abcdef", "{A}f"),
        ({"A": "ab", "B": "cd"}, "abcd", "{A}{B}"),  # side by side
        ({"A": "ab", "B": "abcd"}, "abcd", "{B}"),  # of two that start together, the longest
        ({"A": "abcd", "B": "bc"}, "abcd", "{A}"),
    ],
)
def test_of_what_overlaps_no_character_is_left(
    regexes: dict[str, str], text: str, said: str
) -> None:
    guardrail, _ = read(**sensitive({"EMAIL": "ANONYMIZE"}, regexes))

    assert masked(guardrail, text) == said


def test_each_of_what_overlaps_is_told() -> None:
    guardrail, _ = read(**sensitive({"EMAIL": "ANONYMIZE"}, {"Customer": r"customer \w+"}))
    findings = assess(guardrail, "OUTPUT", [TextBlock("customer jane@y.zz")]).findings

    assert [finding.match for finding in findings] == ["customer jane", "jane@y.zz"]


def test_a_pattern_that_matches_nothing_hides_nothing_and_is_remarked_on() -> None:
    guardrail, [remark] = read(**sensitive(regexes={"X": "x*"}))

    assert masked(guardrail, "axxb") == "a{X}b"
    assert remark.endswith("regex 'X' also matches empty text; empty matches are ignored")


@pytest.mark.parametrize("pattern", [r"(?<=a)b", r"a(?!b)", r"(a)\1", "(?>a)b"])
def test_a_pattern_that_cannot_run_in_linear_time_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match=r"guardrails.yaml:1: the pattern of regex 'X' uses"):
        read(**sensitive(regexes={"X": pattern}))


@pytest.mark.parametrize("pattern", ["^(a+)+$", "(a|aa)+$", "(?:a?){30}a{30}!"])
def test_no_pattern_of_an_operator_takes_exponential_time(pattern: str) -> None:
    guardrail, _ = read(**sensitive(regexes={"X": pattern}))
    began = time.process_time()
    assess(guardrail, "OUTPUT", [TextBlock("a" * 50_000 + "?")])

    assert time.process_time() - began < 5


def test_more_findings_than_are_told_are_hidden_all_the_same() -> None:
    assessment = assess(PERSONAL, "OUTPUT", [TextBlock("a@b.cc " * (MAX_FINDINGS + 9))])

    assert len(assessment.findings) == MAX_FINDINGS
    assert assessment.outputs == ["{EMAIL} " * (MAX_FINDINGS + 9)]


@given(
    text=st.text(
        alphabet="aßİı1é\u0301\u200b\ufb01½ ＡⅣ\ufdfa\u1112\u1161\u11ab\U0001d4f8-", max_size=40
    )
)
def test_each_place_leads_back_to_the_characters_it_stands_for(text: str) -> None:
    for normal in (SearchedText(text).plain, SearchedText(text).folded):
        places = [normal.to_original(place, place + 1) for place in range(len(normal.text))]

        assert len(normal.text) <= MAX_EXPANSION * len(text)
        assert all(0 <= start < end <= len(text) for start, end in places)
        assert places == sorted(places)
        assert not places or normal.to_original(0, len(places)) == (places[0][0], places[-1][1])


@given(border=st.integers(-3, 3), text=st.sampled_from(["e\u0301", "s\u200b\u200b", "ﬁ", "ß"]))
def test_characters_that_belong_together_are_one_at_any_place(border: int, text: str) -> None:
    before = "a" * (WINDOW_CHARACTERS + border)

    assert fold(f"{before}{text}b") == f"{before}{fold(text)}b"


def test_a_long_text_leaves_the_interpreter_to_others() -> None:
    text = "Nothing, dear customer, é, is here, and 4111 of it. " * 60_000
    both, _ = read(
        **words("secret", "nothing else"), **sensitive({"EMAIL": "BLOCK", "PHONE": "BLOCK"})
    )
    working = Thread(target=assess, args=(both, "OUTPUT", [TextBlock(text)]))
    longest, last = 0.0, time.monotonic()
    working.start()
    while working.is_alive():
        time.sleep(0.001)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()

    assert longest < 1


@pytest.mark.parametrize(
    "unit", ["a@b.cc-", "1111 1111 1111 1111-", "a/", "\u0301\u0316", "\ufdfa", "ß\u200b"]
)
def test_no_text_takes_long(unit: str) -> None:
    everything, _ = read(
        **words("secret", "a a a"),
        **sensitive(dict.fromkeys(PII, "ANONYMIZE")),
    )
    began = time.process_time()
    assess(everything, "OUTPUT", [TextBlock(unit * (200_000 // len(unit)))])

    assert time.process_time() - began < 10
