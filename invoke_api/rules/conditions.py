"""Conditions of rules: the parts of a call that they look at, and why one does not hold."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import translate
from typing import Any, NamedTuple

from invoke_api.dialects.question import Question
from invoke_api.regex import Pattern, PatternError, compile_pattern

MAX_SEARCHED_CHARACTERS = 1_000_000  # of a prompt; rules ignore the rest
MAX_PATTERN_BYTES = 1 << 20  # of memory
MAX_PATTERN_STEPS = 40_000  # per byte of a prompt, in the worst case
MAX_SHOWN_CHARACTERS = 200  # of a value in an explanation

Glob = re.Pattern[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRequest:
    """The part of a call that rules match.

    `model_id` is the registry's id. `identifier` is the client's name for the model, maybe an ARN.
    `header_metadata` is request metadata from the header, for APIs that don't have it in the body.
    """

    operation: str
    model_id: str
    question: Question
    header_metadata: Mapping[str, str] = field(default_factory=dict)
    access_key_id: str | None = None
    identifier: str = ""

    @property
    def metadata(self) -> Mapping[str, str]:
        return self.question.metadata or self.header_metadata

    @property
    def longest_text(self) -> int:
        """Return the number of characters of the longest text that rules search."""
        asked = self.question
        texts = (asked.prompt, asked.last_user_message, asked.system, asked.tool_result or "")
        return max(map(len, texts))


class Kind(NamedTuple):
    """A kind of condition.

    `compile` makes a matcher from the wanted value, and raises `PatternError`. `test` matches it
    with the call's value. `explain` says why the two values, wanted and found, don't match.
    """

    compile: Callable[[Any], Any]
    test: Callable[[Any, Any], bool]
    explain: Callable[[str, Any, Any], str]


def _explain_value(key: str, wanted: object, found: object) -> str:
    return f"{key} is {shown(found)}, not {shown(wanted)}"


def to_pattern(wanted: str | Mapping[str, str]) -> str | Pattern:
    """Return a text condition, compiled if it is a pattern. Raises `PatternError`."""
    if isinstance(wanted, str):
        return wanted
    pattern = compile_pattern(wanted["regex"], dot_matches_newline=True, memory=MAX_PATTERN_BYTES)
    if pattern.size > MAX_PATTERN_STEPS:
        raise PatternError(
            f"may take {pattern.size:,} steps per byte; the maximum is {MAX_PATTERN_STEPS:,}"
        )
    return pattern


def _has_text(wanted: str | Pattern, text: str | None) -> bool:
    if text is None:
        return False
    searched = text[:MAX_SEARCHED_CHARACTERS]
    return wanted in searched if isinstance(wanted, str) else wanted.search(searched) is not None


def _explain_text(key: str, wanted: str | Mapping[str, str], text: str | None) -> str:
    if text is None:
        return f"there is no {key}, which should have {shown(wanted)}"
    if not isinstance(wanted, str):
        return f"{key} does not match {shown(wanted['regex'])}"
    at = text.casefold().find(wanted.casefold())
    other_case = text[at : at + len(wanted)]
    has_other = at >= 0 and other_case.casefold() == wanted.casefold()
    return f"{key} lacks {shown(wanted)}" + (f" but has {shown(other_case)}" if has_other else "")


def to_glob(wanted: str) -> Glob:
    """Return the pattern of a glob, which matches in linear time."""
    # `translate` puts each part between two stars into an atomic group: no backtracking.
    return re.compile(translate(wanted))


def _has_name(glob: Glob, names: tuple[str, ...]) -> bool:
    return any(map(glob.match, names))


def _explain_name(key: str, wanted: str, names: tuple[str, ...]) -> str:
    found = " or ".join(dict.fromkeys(map(shown, filter(None, names)))) or "absent"
    return f"{key} is {found}, not {shown(wanted)}"


def _explain_tool(_: str, wanted: str, names: tuple[str, ...]) -> str:
    offered = ", ".join(map(shown, names)) or "none"
    return f"no tool {shown(wanted)} is offered; offered: {offered}"


def _to_globs(wanted: Mapping[str, str]) -> dict[str, Glob]:
    return {name: to_glob(value) for name, value in wanted.items()}


def _has_values(globs: Mapping[str, Glob], values: Mapping[str, str]) -> bool:
    return all(name in values and glob.match(values[name]) for name, glob in globs.items())


def _explain_values(key: str, wanted: Mapping[str, str], values: Mapping[str, str]) -> str:
    wrong = (
        f"{key} has no {shown(name)}"
        if name not in values
        else f"{key} {shown(name)} is {shown(values[name])}, not {shown(value)}"
        for name, value in wanted.items()
        if name not in values or not to_glob(value).match(values[name])
    )
    return "; ".join(wrong)


VALUE = Kind(lambda wanted: wanted, lambda wanted, found: bool(wanted == found), _explain_value)
TEXT = Kind(to_pattern, _has_text, _explain_text)
NAME = Kind(to_glob, _has_name, _explain_name)
TOOL = Kind(to_glob, _has_name, _explain_tool)
VALUES = Kind(_to_globs, _has_values, _explain_values)

# The conditions of `when` in the order of their tests: those that search a text come last.
KINDS: dict[str, tuple[Kind, Callable[[RuleRequest], Any]]] = {
    "operation": (VALUE, lambda asked: asked.operation),
    "turn": (VALUE, lambda asked: asked.question.turn),
    "step": (VALUE, lambda asked: asked.question.step),
    "has_tool_result": (VALUE, lambda asked: asked.question.tool_result is not None),
    "model_id": (NAME, lambda asked: (asked.model_id, asked.identifier)),
    "tool": (TOOL, lambda asked: asked.question.tools),
    "metadata": (VALUES, lambda asked: asked.metadata),
    "last_user_message": (TEXT, lambda asked: asked.question.last_user_message),
    "tool_result": (TEXT, lambda asked: asked.question.tool_result),
    "system": (TEXT, lambda asked: asked.question.system),
    "prompt": (TEXT, lambda asked: asked.question.prompt),
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition: `wanted` is its value in the rule's document, `matcher` the compiled one.

    `read` returns the call's own value.
    """

    key: str
    wanted: Any
    matcher: Any
    kind: Kind
    read: Callable[[RuleRequest], Any]

    def why_not(self, asked: RuleRequest) -> str | None:
        """Return a sentence that says why the condition does not hold, or None if it does."""
        found = self.read(asked)
        if self.kind.test(self.matcher, found):
            return None
        return self.kind.explain(self.key, self.wanted, found)


@dataclass(frozen=True, slots=True)
class When:
    """The conditions of a rule, all of which must hold."""

    conditions: tuple[Condition, ...] = ()

    @property
    def patterns(self) -> list[Pattern]:
        matchers = (condition.matcher for condition in self.conditions)
        return [matcher for matcher in matchers if isinstance(matcher, Pattern)]

    @property
    def steps(self) -> int:
        """Return the number of search steps per character of a text, in the worst case."""
        texts = [each.matcher for each in self.conditions if each.kind is TEXT]
        return sum(text.size if isinstance(text, Pattern) else 1 for text in texts)

    def matches(self, asked: RuleRequest) -> bool:
        for each in self.conditions:  # noqa: SIM110 - a generator takes a third longer
            if not each.kind.test(each.matcher, each.read(asked)):
                return False
        return True


def to_when(wanted: Mapping[str, Any]) -> When:
    """Return the conditions of a valid document. Raises `PatternError`.

    A list of texts makes one condition of each text.
    """
    return When(
        tuple(
            Condition(key, value, kind.compile(value), kind, read)
            for key, (kind, read) in KINDS.items()
            if key in wanted
            for value in (wanted[key] if isinstance(wanted[key], list) else [wanted[key]])
        )
    )


def shown(value: object) -> str:
    """Return a value for an explanation: texts in quotes, a long one with its two ends."""
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    if len(text) <= MAX_SHOWN_CHARACTERS:
        return text
    half = MAX_SHOWN_CHARACTERS // 2
    return f"{text[:half]}…{text[-half:]}"
