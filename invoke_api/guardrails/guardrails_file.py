"""The operator's guardrails: a file of what CreateGuardrail would be given."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from invoke_api.guardrails.guardrail import (
    SOURCES,
    Action,
    ContentFilter,
    Filter,
    Guardrail,
    Kind,
)
from invoke_api.guardrails.guardrail import Source as Direction
from invoke_api.guardrails.normalization import fold
from invoke_api.guardrails.pii import PII
from invoke_api.guardrails.search import Phrases, Regex, Seeker
from invoke_api.regex import Pattern, PatternError, compile_pattern
from invoke_api.yaml_files import ConfigError, Source, find_mistakes, read_config

VERSIONS = ("DRAFT", "1")
DONE: dict[str, Action] = {"BLOCK": "BLOCKED", "ANONYMIZE": "ANONYMIZED", "NONE": "NONE"}

Entry = Mapping[str, Any]
# Keys and indices that lead to an entry, and what is wrong with it, or with what it is for.
Remark = tuple[list[str | int], str]


def load_guardrails(path: Path) -> tuple[list[Guardrail], list[str]]:
    """Those of a file, and a sentence about each thing in it that is never found here.

    Raises `ConfigError` with every mistake and its line.
    """
    document, source = read_config(path)
    wrong = find_mistakes(document, source, "guardrails.json", name="guardrailId", kind="guardrail")
    if mistakes := list(wrong):
        raise ConfigError("\n".join(mistakes))
    entries = document["guardrails"]
    if mistakes := _say(source, _mistakes(entries)):
        raise ConfigError("\n".join(mistakes))
    guardrails = [each for entry in entries for each in _to_guardrails(entry)]
    return guardrails, _say(source, _never_found(entries))


def _say(source: Source, remarks: Iterable[Remark]) -> list[str]:
    return [f"{source.where(['guardrails', *steps])}: {remark}" for steps, remark in remarks]


def _mistakes(entries: list[Entry]) -> Iterator[Remark]:
    seen: set[tuple[str, str]] = set()
    for index, entry in enumerate(entries):
        for version in entry.get("versions", VERSIONS):
            key = (entry["guardrailId"], version)
            if key in seen:
                yield [index], f"guardrail {key[0]!r} has version {version} twice"
            seen.add(key)
        if not any(key.endswith("PolicyConfig") for key in entry):
            yield [index], "Guardrail must have at least one policy"
        yield from (([index, *steps], problem) for steps, problem in _bad_patterns(entry))
        for steps, phrase in _phrases(entry):
            if not fold(phrase).split():
                yield [index, *steps], "a phrase of nothing but blanks and invisible characters"


NEVER = {
    "topic": "is never found: it has no examples, which are the phrases that are looked for here",
    "pii": "is never found: no pattern matches it; a regex of your own may stand for it",
}
EMPTY = "matches places without a character too, which are not counted"
SILENT = "find nothing here: AWS's own models and lists do"


def _bad_patterns(entry: Entry) -> Iterator[Remark]:
    for steps, regex in _entries(entry, "sensitiveInformationPolicyConfig", "regexesConfig"):
        try:
            compile_pattern(regex["pattern"])
        except PatternError as error:
            yield [*steps, "pattern"], f"the pattern of regex {regex['name']!r} {error}"


def _phrases(entry: Entry) -> Iterator[tuple[list[str | int], str]]:
    for steps, word in _entries(entry, "wordPolicyConfig", "wordsConfig"):
        yield [*steps, "text"], word["text"]
    for steps, topic in _entries(entry, "topicPolicyConfig", "topicsConfig"):
        for number, example in enumerate(topic.get("examples", ())):
            yield [*steps, "examples", number], example


def _never_found(entries: list[Entry]) -> Iterator[Remark]:
    for index, entry in enumerate(entries):
        yield from (([index, *steps], remark) for steps, remark in _silent(entry))
        if "managedWordListsConfig" in entry.get("wordPolicyConfig", {}):
            yield [index, "wordPolicyConfig"], f"managed lists of words {SILENT}"
        for policy, what in OF_MODELS.items():
            if policy in entry:
                yield [index, policy], f"{what} {SILENT}"


def _silent(entry: Entry) -> Iterator[Remark]:
    """Yield a remark on each filter that finds nothing and each regex that matches empty text."""
    for policy, name, build in KINDS:
        for steps, config in _entries(entry, policy, name):
            wanted = build(config)
            if wanted.seeker is None:
                yield steps, f"{wanted.kind} {wanted.name!r} {NEVER[wanted.kind]}"
            if wanted.kind == "regex" and _pattern(config).fullmatch(""):
                yield [*steps, "pattern"], f"regex {wanted.name!r} {EMPTY}"


OF_MODELS = {
    "contentPolicyConfig": "content filters",
    "contextualGroundingPolicyConfig": "checks of grounding",
    "automatedReasoningPolicyConfig": "policies of automated reasoning",
}


def _entries(guardrail: Entry, policy: str, name: str) -> Iterator[tuple[list[str | int], Entry]]:
    for index, entry in enumerate(guardrail.get(policy, {}).get(name, ())):
        yield [policy, name, index], entry


def _to_guardrails(entry: Entry) -> Iterator[Guardrail]:
    filters = tuple(
        each
        for policy, name, build in KINDS
        for _, config in _entries(entry, policy, name)
        for each in [build(config)]
    )
    contents = tuple(
        ContentFilter(
            type=config["type"],
            strengths={"INPUT": config["inputStrength"], "OUTPUT": config["outputStrength"]},
        )
        for _, config in _entries(entry, "contentPolicyConfig", "filtersConfig")
    )
    for version in entry.get("versions", VERSIONS):
        yield Guardrail(
            id=entry["guardrailId"],
            version=version,
            blocked={
                "INPUT": entry["blockedInputMessaging"],
                "OUTPUT": entry["blockedOutputsMessaging"],
            },
            filters=filters,
            content_filters=contents,
            is_grounded="contextualGroundingPolicyConfig" in entry,
        )


def _filter(kind: Kind, name: str, seeker: Seeker | None, config: Entry, regex: str = "") -> Filter:
    enabled = [each for each in SOURCES if config.get(f"{each.lower()}Enabled", True)]
    actions = {each: action for each in enabled if (action := _action(config, each))}
    return Filter(
        kind=kind,
        name=name,
        seeker=seeker,
        actions=actions,
        enabled=frozenset(enabled),
        regex=regex,
    )


def _action(config: Entry, direction: Direction) -> Action | None:
    """What is done in this direction; None for what is not looked for.

    Recorded, and said by three: what is to be anonymized is so in what comes in only if
    `inputAction` says it.
    """
    said = config.get(f"{direction.lower()}Action")
    general = config.get("action", "BLOCK")
    if said is None and direction == "INPUT" and general == "ANONYMIZE":
        return None
    return DONE[said or general]


def _topic(config: Entry) -> Filter:
    examples = config.get("examples")
    return _filter("topic", config["name"], Phrases(examples) if examples else None, config)


def _word(config: Entry) -> Filter:
    return _filter("word", config["text"], Phrases([config["text"]]), config)


def _pii(config: Entry) -> Filter:
    return _filter("pii", config["type"], PII.get(config["type"]), config)


def _regex(config: Entry) -> Filter:
    seeker = Regex(_pattern(config))
    return _filter("regex", config["name"], seeker, config, config["pattern"])


def _pattern(config: Entry) -> Pattern:
    return compile_pattern(config["pattern"])


KINDS: tuple[tuple[str, str, Callable[[Entry], Filter]], ...] = (
    ("topicPolicyConfig", "topicsConfig", _topic),
    ("wordPolicyConfig", "wordsConfig", _word),
    ("sensitiveInformationPolicyConfig", "piiEntitiesConfig", _pii),
    ("sensitiveInformationPolicyConfig", "regexesConfig", _regex),
)
