"""Findings of guardrails in texts, and the masked or blocked texts."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from invoke_api.guardrails.guardrail import ContentSource
from invoke_api.guardrails.guardrails_file import load_guardrails
from invoke_api.guardrails.normalization import SearchedText
from invoke_api.guardrails.pii import PII
from invoke_api.guardrails.scanner import Assessment, TextBlock, assess
from invoke_api.guardrails.trace import to_assessment, to_usage
from invoke_api.yaml_files import ConfigError

FILE = Path(__file__).parent / "guardrails.yaml"
GUARDRAILS, REMARKS = load_guardrails(FILE)
EVERYTHING = GUARDRAILS[0]
WATCHING = GUARDRAILS[-1]


def found(source: ContentSource, *texts: str) -> Assessment:
    return assess(EVERYTHING, source, [TextBlock(text) for text in texts])


@pytest.mark.parametrize(
    ("source", "text", "reason", "outputs"),
    [
        ("INPUT", "Hello", "No action.", []),
        ("INPUT", "A CACTUS, please", "Guardrail blocked.", ["You shouldn't ask this question"]),
        (
            "OUTPUT",
            "a blue\n moon",
            "Guardrail blocked.",
            ["I shouldn't answer this question"],
        ),
        ("INPUT", "cactuses and bluemoon", "No action.", []),
        ("INPUT", "Get rich quick!", "Guardrail blocked.", ["You shouldn't ask this question"]),
        ("INPUT", "078-05-1120", "Guardrail blocked.", ["You shouldn't ask this question"]),
        ("INPUT", "a@b.org, 123456", "No action.", []),  # outputs only are anonymized
        ("OUTPUT", "a@b.org, 123456!", "Guardrail masked.", ["{EMAIL}, {Account Number}!"]),
        ("INPUT", "+44 20 7946 0958?", "Guardrail masked.", ["{PHONE}?"]),
        ("OUTPUT", "a@b.org cactus", "Guardrail blocked.", ["I shouldn't answer this question"]),
    ],
)
def test_a_text_is_left_blocked_or_masked(
    source: ContentSource, text: str, reason: str, outputs: list[str]
) -> None:
    assessment = found(source, text)

    assert (assessment.reason, assessment.outputs) == (reason, outputs)
    assert assessment.intervened == bool(outputs)


def test_each_part_is_masked_and_each_occurrence_told() -> None:
    assessment = found("OUTPUT", "a@b.org a@b.org", "nothing", "c@d.org")

    assert assessment.outputs == ["{EMAIL} {EMAIL}", "nothing", "{EMAIL}"]
    matches = [finding.match for finding in assessment.findings]
    assert matches == ["a@b.org", "a@b.org", "c@d.org"]


def test_a_topic_is_told_once() -> None:
    assessment = found("INPUT", "get rich quick, get rich quick", "get rich quick")

    assert len(assessment.findings) == 1


def test_what_is_not_guarded_is_counted_only() -> None:
    parts = [TextBlock("cactus", is_guarded=False), TextBlock("Hello")]
    assessment = assess(EVERYTHING, "INPUT", parts)

    assert not assessment.intervened
    assert (assessment.guarded, assessment.total) == (5, 11)


def test_of_two_that_overlap_the_first_is_masked() -> None:
    [masked] = found("OUTPUT", "123456@example.com 654321").outputs

    assert masked == "{EMAIL} {Account Number}"


def test_what_is_only_watched_is_told_and_left() -> None:
    assessment = assess(WATCHING, "INPUT", [TextBlock("I am watched")])
    [finding] = assessment.findings

    assert finding.action == "NONE"
    assert not assessment.intervened
    assert assess(WATCHING, "OUTPUT", [TextBlock("I am watched")]).findings == ()


def test_units_are_those_of_what_is_on_in_this_direction() -> None:
    inward, outward = (to_usage(found(source, "a" * 1_001)) for source in ("INPUT", "OUTPUT"))
    nothing = dict.fromkeys(inward, 0)
    both = {"topicPolicyUnits": 2, "wordPolicyUnits": 2, "sensitiveInformationPolicyUnits": 2}

    assert inward == {**nothing, **both, "contentPolicyUnits": 2}
    assert outward == {**nothing, **both, "sensitiveInformationPolicyFreeUnits": 2}


def test_a_full_report_has_what_was_not_found_but_no_words() -> None:
    report = to_assessment(found("INPUT", "cactus"), "us-east-1", "123456789012", full=True)

    assert report["wordPolicy"] == {
        "customWords": [{"match": "cactus", "action": "BLOCKED", "detected": True}]
    }
    assert report["topicPolicy"]["topics"] == [
        {"name": "Investment advice", "type": "DENY", "action": "NONE", "detected": False}
    ]
    assert [entry["type"] for entry in report["contentPolicy"]["filters"]] == ["INSULTS"]
    assert [entry["type"] for entry in report["sensitiveInformationPolicy"]["piiEntities"]] == [
        "PHONE",
        "US_SOCIAL_SECURITY_NUMBER",
    ]


EXAMPLES = {
    "AWS_ACCESS_KEY": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "CREDIT_DEBIT_CARD_NUMBER": "4111-1111-1111-1111",
    "EMAIL": "jane.doe+test@mail.example.co.uk",
    "INTERNATIONAL_BANK_ACCOUNT_NUMBER": "CH93 0076 2011 6238 5295 7",
    "IP_ADDRESS": "192.0.2.255",
    "MAC_ADDRESS": "00:1B:44:11:3A:B7",
    "PHONE": "(212) 555-0100",
    "SWIFT_CODE": "DEUTDEFF500",
    "UK_NATIONAL_INSURANCE_NUMBER": "AB 12 34 56 C",
    "URL": "https://example.com/a?b=c",
    "US_SOCIAL_SECURITY_NUMBER": "078-05-1120",
    "VEHICLE_IDENTIFICATION_NUMBER": "1HGCM82633A004352",
}


def matches(kind: str, text: str) -> list[str]:
    return [text[start:end] for start, end in PII[kind].spans(SearchedText(text))]


@pytest.mark.parametrize("kind", PII)
def test_a_pattern_finds_its_kind_and_no_plain_words(kind: str) -> None:
    assert matches(kind, f"It is {EXAMPLES[kind]}, I think.") == [EXAMPLES[kind]]
    assert matches(kind, EXAMPLES[kind]) == [EXAMPLES[kind]]
    assert not matches(kind, "In 2024 some 1,500 people read chapter 12-3 of version 1.2.3.")
    assert kind == "IP_ADDRESS" or not matches(kind, "192.168.100.200 at 1700000000000 ms")


@pytest.mark.parametrize("kind", PII)
@pytest.mark.parametrize("unit", ["+", "/", "a", "1", "a.", "1-", "A1", "@", "aB3/", "12 ", "F:"])
def test_a_pattern_reads_a_long_text_once(kind: str, unit: str) -> None:
    text = unit * (100_000 // len(unit))
    with ThreadPoolExecutor(max_workers=1) as pool:  # a quadratic pattern takes half a minute
        pool.submit(matches, kind, text).result(timeout=5)


def test_the_operator_hears_what_is_never_found() -> None:
    pii = "finds nothing: there is no pattern for it; add a regex of your own"
    content = "content filters find nothing here, because they need AWS's own models and lists"

    assert [f"{FILE}:24: pii 'NAME' {pii}", f"{FILE}:13: {content}"] == REMARKS


def edited(**changes: Any) -> str:
    entry = {
        "guardrailId": "'abc'",
        "name": "x",
        "blockedInputMessaging": "x",
        "blockedOutputsMessaging": "x",
        "wordPolicyConfig": "{wordsConfig: [{text: a}]}",
    }
    lines = [f"{key}: {value}" for key, value in {**entry, **changes}.items() if value]
    return "guardrails:\n  - " + "\n    ".join(lines)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (edited(guardrailId="ABC"), ":2: guardrail 'ABC': guardrailId: 'ABC' does not match"),
        (edited(wordPolicyConfig=None), ":2: Guardrail must have at least one policy"),
        (edited(versions="[DRAFT, DRAFT]"), ":2: guardrail 'abc' has two versions DRAFT"),
        (edited(wordPolicyConfig="{wordsConfig: [{text: ' '}]}"), ":6: the phrase has only blanks"),
        (
            edited(wordPolicyConfig="{wordConfig: []}"),
            ":6: guardrail 'abc': wordPolicyConfig: Additional properties",
        ),
        (
            edited(
                sensitiveInformationPolicyConfig=(
                    "{regexesConfig: [{name: a, pattern: '(', action: BLOCK}]}"
                )
            ),
            ":7: the pattern of regex 'a' is not a valid regular expression: missing ): (",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "guardrails.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_guardrails(file)

    assert f"{file}{sentence}" in str(caught.value)
