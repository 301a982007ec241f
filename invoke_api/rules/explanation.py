"""Explanation of the choice of rules for one call: which applied, and why the others did not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from invoke_api.rules.conditions import RuleRequest, When, shown

MAX_KEPT_CHARACTERS = 16_384  # of each text of a call; the journal keeps many calls
MAX_REPORTED_RULES = 10

APPLIED, SKIPPED, NOT_TRIED, NO_MATCH = "applied", "skipped", "not tried", "did not match"


class Candidate(NamedTuple):
    """A rule, as far as the choice depends on it."""

    id: str
    scope: str | None
    when: When


def scopes_of(access_key_id: str | None) -> list[str | None]:
    """Return the scopes of the rules for a caller, in their order."""
    return [None] if access_key_id is None else [access_key_id, None]


@dataclass(slots=True)
class Judgement:
    """The outcome of one rule, and the reasons. `differs` has its conditions that don't hold.

    Each of `differs` is a key, the wanted value and the call's own value.
    """

    rule_id: str
    outcome: str
    because: list[str] = field(default_factory=list)
    differs: list[tuple[str, str, str]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {"id": self.rule_id, "outcome": self.outcome, "because": self.because}


class Trial:
    """The record of the choice of rules for one call.

    It keeps the beginning of the call's texts. `candidates` returns all rules as they were then,
    the oldest first.
    """

    def __init__(
        self, asked: RuleRequest, candidates: Callable[[], Sequence[Candidate]] = tuple
    ) -> None:
        self._asked = _shortened(asked)
        self._is_short = self._asked.question != asked.question
        self._candidates = candidates
        self._skipped: dict[str, str] = {}
        self._applied: list[str] = []
        self._last: str | None = None

    def skip(self, rule_id: str, why: str) -> None:
        """Note that a rule was left out for a reason other than its conditions."""
        self._skipped[rule_id] = why

    def apply(self, rule_id: str, *, is_last: bool) -> None:
        """Note that a rule applied. No further rule is tried if it `is_last`."""
        self._applied.append(rule_id)
        if is_last:
            self._last = rule_id

    def to_json(self) -> dict[str, Any]:
        """Return the explanation. May search texts for as long as the choice itself did."""
        candidates = self._candidates()
        scopes = scopes_of(self._asked.access_key_id)
        ordered = [each for scope in scopes for each in reversed(candidates) if each.scope == scope]
        judged = self._judge(ordered)
        others = len(candidates) - len(ordered)
        near = find_nearest(judged)
        diff = near.differs if near and not self._applied else []
        return {
            "applied": self._applied,
            "rules": [each.to_json() for each in judged],
            "rules_of_other_scopes": others,
            "nearest": {"id": near.rule_id, "diff": _to_diff(diff)} if near and diff else None,
            "shortened": self._is_short,
        }

    def _judge(self, ordered: Sequence[Candidate]) -> list[Judgement]:
        judged: list[Judgement] = []
        is_tried = True
        for each in ordered:
            judged.append(self._judge_one(each) if is_tried else Judgement(each.id, NOT_TRIED))
            is_tried = is_tried and each.id != self._last
        return judged

    def _judge_one(self, rule: Candidate) -> Judgement:
        if rule.id in self._applied:
            return Judgement(rule.id, APPLIED)
        skipped = self._skipped.get(rule.id)
        judged = Judgement(rule.id, SKIPPED if skipped else NO_MATCH)
        for condition in rule.when.conditions:
            if why := condition.why_not(self._asked):
                judged.because.append(why)
                found = shown(condition.read(self._asked))
                judged.differs.append((condition.key, shown(condition.wanted), found))
        judged.because += [skipped] if skipped else []
        return judged


def find_nearest(judged: Sequence[Judgement]) -> Judgement | None:
    """Return the rule with the fewest conditions that don't hold, the first of several."""
    missed = [each for each in judged if each.outcome == NO_MATCH and each.differs]
    return min(missed, key=lambda each: len(each.differs), default=None)


def _to_diff(differs: Sequence[tuple[str, str, str]]) -> list[str]:
    return [
        line
        for key, wanted, found in differs
        for line in (f"- {key}: {wanted}", f"+ {key}: {found}")
    ]


def _shortened(asked: RuleRequest) -> RuleRequest:
    """Return the request with the beginning of each text. Short texts are not copied."""
    question = asked.question
    result = question.tool_result
    short = replace(
        question,
        prompt=question.prompt[:MAX_KEPT_CHARACTERS],
        last_user_message=question.last_user_message[:MAX_KEPT_CHARACTERS],
        system=question.system[:MAX_KEPT_CHARACTERS],
        tool_result=None if result is None else result[:MAX_KEPT_CHARACTERS],
    )
    return replace(asked, question=short)


def write_report(call: Mapping[str, Any], explained: Mapping[str, Any]) -> list[str]:
    """Return an explanation in lines. `call` is the journal's entry."""
    head = (
        f"Call {call['request_id']}, {call['operation']} of {call['model_id']}: {outcome_of(call)}"
    )
    tried = [each for each in explained["rules"] if each["outcome"] != NOT_TRIED]
    lines = [head, *(f"  rule {_sentence(each)}" for each in tried[:MAX_REPORTED_RULES])]
    if len(tried) > MAX_REPORTED_RULES:
        lines.append(f"  and {len(tried) - MAX_REPORTED_RULES:,} more rules")
    if others := explained["rules_of_other_scopes"]:
        lines.append(f"  {others:,} rules are for other access keys")
    if explained["shortened"]:
        lines.append(f"  texts are explained up to {MAX_KEPT_CHARACTERS:,} characters")
    if near := explained["nearest"]:
        lines += [f"  the nearest is rule {near['id']}:", *(f"    {each}" for each in near["diff"])]
    return lines


def _sentence(judged: Mapping[str, Any]) -> str:
    because = "; ".join(judged["because"])
    return f"{judged['id']} {judged['outcome']}" + (f": {because}" if because else "")


def outcome_of(call: Mapping[str, Any]) -> str:
    """Return a sentence that says what answered a call of the journal."""
    if call["engine"] == "rule":
        return f"rule {call['rule_id']} answered"
    if error := call["error"]:
        by = f"rule {call['rule_id']}" if call["rule_id"] else "the service"
        return f"{by} failed it with {error['type']}: {error['message']}"
    return f"no rule answered; the engine {call['engine']} did"
