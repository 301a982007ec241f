"""Loading of the operator's guardrails from a file that has the members of CreateGuardrail."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from invoke_api.guardrails.guardrail import (
    SOURCES,
    Action,
    ContentFilter,
    Filter,
    FilterKind,
    Guardrail,
)
from invoke_api.guardrails.guardrail import ContentSource as Direction
from invoke_api.guardrails.normalization import fold
from invoke_api.guardrails.pii import PII
from invoke_api.guardrails.search import Matcher, PhraseMatcher, RegexMatcher
from invoke_api.regex import Pattern, PatternError, compile_pattern
from invoke_api.yaml_files import ConfigError, Source, find_mistakes, read_config

DEFAULT_VERSIONS = ("DRAFT", "1")
ACTIONS: dict[str, Action] = {"BLOCK": "BLOCKED", "ANONYMIZE": "ANONYMIZED", "NONE": "NONE"}

NEVER_FOUND = {
    "topic": "finds nothing: only the examples of a topic are searched for, and it has none",
    "pii": "finds nothing: there is no pattern for it; add a regex of your own",
}
MATCHES_EMPTY = "also matches empty text; empty matches are ignored"
FINDS_NOTHING = "find nothing here, because they need AWS's own models and lists"

MODEL_POLICIES = {
    "contentPolicyConfig": "content filters",
    "contextualGroundingPolicyConfig": "checks of grounding",
    "automatedReasoningPolicyConfig": "policies of automated reasoning",
}

Entry = Mapping[str, Any]
# The keys and indices that lead to an entry, and a message about it.
Remark = tuple[list[str | int], str]


def load_guardrails(path: Path) -> tuple[list[Guardrail], list[str]]:
    """Return the guardrails of a file, and a warning about each filter that finds nothing here.

    Raises `ConfigError` with every mistake and its line.
    """
    document, source = read_config(path)
    wrong = find_mistakes(document, source, "guardrails.json", name="guardrailId", kind="guardrail")
    if mistakes := list(wrong):
        raise ConfigError("\n".join(mistakes))
    entries = document["guardrails"]
    if mistakes := _with_lines(source, _mistakes(entries)):
        raise ConfigError("\n".join(mistakes))
    guardrails = [each for entry in entries for each in _to_guardrails(entry)]
    return guardrails, _with_lines(source, _warnings(entries))


def _with_lines(source: Source, remarks: Iterable[Remark]) -> list[str]:
    return [f"{source.where(['guardrails', *steps])}: {remark}" for steps, remark in remarks]


def _mistakes(entries: list[Entry]) -> Iterator[Remark]:
    seen: set[tuple[str, str]] = set()
    for index, entry in enumerate(entries):
        for version in entry.get("versions", DEFAULT_VERSIONS):
            key = (entry["guardrailId"], version)
            if key in seen:
                yield [index], f"guardrail {key[0]!r} has two versions {version}"
            seen.add(key)
        if not any(key.endswith("PolicyConfig") for key in entry):
            yield [index], "Guardrail must have at least one policy"
        yield from (([index, *steps], problem) for steps, problem in _bad_patterns(entry))
        for steps, phrase in _phrases(entry):
            if not fold(phrase).split():
                yield [index, *steps], "the phrase has only blanks and invisible characters"


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


def _warnings(entries: list[Entry]) -> Iterator[Remark]:
    for index, entry in enumerate(entries):
        yield from (([index, *steps], remark) for steps, remark in _ineffective(entry))
        if "managedWordListsConfig" in entry.get("wordPolicyConfig", {}):
            yield [index, "wordPolicyConfig"], f"managed lists of words {FINDS_NOTHING}"
        for policy, what in MODEL_POLICIES.items():
            if policy in entry:
                yield [index, policy], f"{what} {FINDS_NOTHING}"


def _ineffective(entry: Entry) -> Iterator[Remark]:
    """Yield a warning for each filter that finds nothing and each regex that matches empty text."""
    for policy, name, build in FILTER_BUILDERS:
        for steps, config in _entries(entry, policy, name):
            wanted = build(config)
            if wanted.matcher is None:
                yield steps, f"{wanted.kind} {wanted.name!r} {NEVER_FOUND[wanted.kind]}"
            if wanted.kind == "regex" and _pattern(config).fullmatch(""):
                yield [*steps, "pattern"], f"regex {wanted.name!r} {MATCHES_EMPTY}"


def _entries(guardrail: Entry, policy: str, name: str) -> Iterator[tuple[list[str | int], Entry]]:
    for index, entry in enumerate(guardrail.get(policy, {}).get(name, ())):
        yield [policy, name, index], entry


def _to_guardrails(entry: Entry) -> Iterator[Guardrail]:
    filters = tuple(
        each
        for policy, name, build in FILTER_BUILDERS
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
    for version in entry.get("versions", DEFAULT_VERSIONS):
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


def _filter(
    kind: FilterKind, name: str, matcher: Matcher | None, config: Entry, regex: str = ""
) -> Filter:
    enabled = [each for each in SOURCES if config.get(f"{each.lower()}Enabled", True)]
    actions = {each: action for each in enabled if (action := _action(config, each))}
    return Filter(
        kind=kind,
        name=name,
        matcher=matcher,
        actions=actions,
        enabled=frozenset(enabled),
        regex=regex,
    )


def _action(config: Entry, direction: Direction) -> Action | None:
    """Return the action in this direction, or None if it is not searched.

    Recorded, by three observers: inputs are anonymized only if `inputAction` says so.
    """
    said = config.get(f"{direction.lower()}Action")
    general = config.get("action", "BLOCK")
    if said is None and direction == "INPUT" and general == "ANONYMIZE":
        return None
    return ACTIONS[said or general]


def _topic(config: Entry) -> Filter:
    examples = config.get("examples")
    return _filter("topic", config["name"], PhraseMatcher(examples) if examples else None, config)


def _word(config: Entry) -> Filter:
    return _filter("word", config["text"], PhraseMatcher([config["text"]]), config)


def _pii(config: Entry) -> Filter:
    return _filter("pii", config["type"], PII.get(config["type"]), config)


def _regex(config: Entry) -> Filter:
    matcher = RegexMatcher(_pattern(config))
    return _filter("regex", config["name"], matcher, config, config["pattern"])


def _pattern(config: Entry) -> Pattern:
    return compile_pattern(config["pattern"])


FILTER_BUILDERS: tuple[tuple[str, str, Callable[[Entry], Filter]], ...] = (
    ("topicPolicyConfig", "topicsConfig", _topic),
    ("wordPolicyConfig", "wordsConfig", _word),
    ("sensitiveInformationPolicyConfig", "piiEntitiesConfig", _pii),
    ("sensitiveInformationPolicyConfig", "regexesConfig", _regex),
)
