"""The active rules, and the choice of those that apply to a call."""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from time import monotonic
from typing import Any

from engine.tokenization.tool_calls import ToolCall
from invoke_api.rules.conditions import MAX_SEARCHED_CHARACTERS, RuleRequest
from invoke_api.rules.explanation import Candidate, Trial, scopes_of
from invoke_api.rules.rule import Fault, Rule, TokenPace

MAX_RULES = 2_000  # in all; each call checks all of them
MAX_RULES_PER_SCOPE = 1_000  # as in schemas/rules.json
MAX_PATTERNS = 512  # in all; each may take a megabyte
MAX_SEARCH_STEPS = 4_000_000_000  # per call, in the worst case: some seconds


class TooManyRules(ValueError):
    """The error for more rules or patterns than allowed."""


class TooLongSearch(ValueError):
    """The error for a prompt that is too long for the rules' patterns."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The effect of the rules on one call: a reply in place of the engine's, a fault, a pace.

    The tool `calls` follow the text. If it `answers`, it replaces the engine's answer. If it
    `fails_at_once`, its fault happens before the first token.
    """

    rule_id: str
    text: str | None
    calls: tuple[ToolCall, ...]
    fault: Fault | None
    pace: TokenPace | None
    answers: bool = field(init=False)
    fails_at_once: bool = field(init=False)

    def __post_init__(self) -> None:
        fails = self.fault is not None and self.fault.after_tokens is None
        object.__setattr__(self, "answers", self.text is not None)  # it is frozen
        object.__setattr__(self, "fails_at_once", fails)

    @property
    def is_complete(self) -> bool:
        """Tell whether other rules can't add to it."""
        return self.answers or self.fails_at_once

    def wants(self, rule: Rule) -> bool:
        """Tell whether the rule has a reply, fault or pace that the verdict lacks."""
        return bool(rule.reply or (rule.fault and not self.fault) or (rule.pace and not self.pace))


@dataclass(slots=True)
class _Entry:
    id: str
    rule: Rule
    added: float  # on the monotonic clock
    random: Random
    steps: int  # search steps per character of the prompt, in the worst case
    spoken: int = 0

    def why_over(self) -> str | None:
        """Return why the rule applies no longer, or None if it does."""
        rule = self.rule
        if rule.times is not None and self.spoken >= rule.times:
            return (
                f"it has applied {rule.times:,} times" if rule.times > 1 else "it has applied once"
            )
        if rule.seconds is not None and monotonic() - self.added >= rule.seconds:
            return f"its {rule.seconds:g} seconds are over"
        return None

    def to_candidate(self) -> Candidate:
        return Candidate(self.id, self.rule.scope, self.rule.when)

    def to_json(self) -> dict[str, Any]:
        return {"id": self.id, **self.rule.document, "spoken": self.spoken}


@dataclass(slots=True)
class RuleBook:
    """The active rules. Used from the event loop only.

    Rules with the caller's scope come before rules without a scope, later ones before earlier ones.
    If `strict`, calls that no rule answers are refused.
    """

    strict: bool = False
    has_rules: bool = field(default=False, init=False)
    _entries: list[_Entry] = field(default_factory=list)
    _steps: int = 0  # sum of all entries
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def is_asked(self) -> bool:
        """Tell whether calls need a verdict: there are rules, or calls without one are refused."""
        return self.has_rules or self.strict

    def add(self, rules: Iterable[Rule]) -> list[dict[str, Any]]:
        """Add rules and return them as listed. Raises `TooManyRules`, and then adds none."""
        return self._add_to(self._entries, rules)

    def _add_to(self, kept: list[_Entry], rules: Iterable[Rule]) -> list[dict[str, Any]]:
        added = [
            _Entry(
                str(next(self._numbers)),
                rule,
                monotonic(),
                Random(rule.seed),  # noqa: S311 - chance, not secrecy
                rule.when.steps,
            )
            for rule in rules
        ]
        entries = kept + added
        if _excess(entries):  # drop rules that have expired or been used up
            entries = [entry for entry in kept if not entry.why_over()] + added
        if sentence := _excess(entries):
            raise TooManyRules(sentence)
        self._keep(entries)
        return [entry.to_json() for entry in added]

    def listed(self, scope: str | None = None) -> list[dict[str, Any]]:
        return [entry.to_json() for entry in self._entries if scope in (None, entry.rule.scope)]

    def remove(self, *, scope: str | None = None, rule_id: str | None = None) -> int:
        """Remove all rules, those of one scope, or one rule. Return the number of removed rules."""
        kept = [
            entry
            for entry in self._entries
            if scope not in (None, entry.rule.scope) or rule_id not in (None, entry.id)
        ]
        gone = len(self._entries) - len(kept)
        self._keep(kept)
        return gone

    def replace(self, old: Sequence[str], rules: Iterable[Rule]) -> list[str]:
        """Replace the rules with the ids `old`; return the new ids. Raises `TooManyRules`."""
        gone = set(old)
        kept = [entry for entry in self._entries if entry.id not in gone]
        return [entry["id"] for entry in self._add_to(kept, rules)]

    def _keep(self, entries: list[_Entry]) -> None:
        self._entries = entries
        self.has_rules = bool(entries)
        self._steps = sum(entry.steps for entry in entries)

    def is_quick(self, asked: RuleRequest, steps: int) -> bool:
        """Tell whether checking all rules takes at most `steps`. Raises `TooLongSearch`."""
        length = min(MAX_SEARCHED_CHARACTERS, asked.longest_text)
        if length * self._steps <= steps:
            return True
        worst = length * sum(entry.steps for entry in self._in_order(asked.access_key_id))
        if worst > MAX_SEARCH_STEPS:
            raise TooLongSearch(
                f"The rules' regular expressions may take {worst:,} steps over this prompt, and"
                f" {MAX_SEARCH_STEPS:,} are the most."
            )
        return worst <= steps

    def matching(self, asked: RuleRequest, is_over: Callable[[], bool]) -> Container[str]:
        """Return the ids of the rules that match. Changes nothing, so a thread may call it.

        Once `is_over` returns True, the remaining rules are skipped.
        """
        entries = list(self._in_order(asked.access_key_id))
        return {each.id for each in entries if not is_over() and each.rule.when.matches(asked)}

    def open_trial(self, asked: RuleRequest) -> Trial:
        """Return a record of this call's choice of rules, still empty. Copies nothing."""
        entries = self._entries  # a later change makes a new list
        return Trial(asked, lambda: [entry.to_candidate() for entry in entries])

    def pick(
        self,
        asked: RuleRequest,
        matching: Container[str] | None = None,
        trial: Trial | None = None,
    ) -> Verdict | None:
        """Return the verdict of the matching rules on this call, and count the rules used.

        A rule without a reply, with only a pace or a fault after some tokens, leaves the reply to
        the next match. `matching` are the ids of the rules that match, if already known. `trial`
        records the choice.
        """
        verdict = None
        trial = trial or self.open_trial(asked)
        for entry in self._in_order(asked.access_key_id):
            rule = entry.rule
            if over := entry.why_over():
                trial.skip(entry.id, over)
                continue
            if not _matches(entry, asked, matching):
                continue
            if rule.probability < 1 and entry.random.random() >= rule.probability:
                trial.skip(entry.id, f"its probability of {rule.probability} left this call out")
                continue
            if verdict and not verdict.wants(rule):
                trial.skip(entry.id, f"rule {verdict.rule_id} has the same effects already")
                continue
            entry.spoken += 1
            verdict = _add(verdict, _to_verdict(entry, asked))
            trial.apply(entry.id, is_last=verdict.is_complete)
            if verdict.is_complete:
                break
        return verdict

    def _in_order(self, access_key_id: str | None) -> Iterator[_Entry]:
        for scope in scopes_of(access_key_id):
            yield from (entry for entry in reversed(self._entries) if entry.rule.scope == scope)


def _matches(entry: _Entry, asked: RuleRequest, matching: Container[str] | None) -> bool:
    return entry.rule.when.matches(asked) if matching is None else entry.id in matching


def _excess(entries: Sequence[_Entry]) -> str | None:
    """Return an error message if there are too many entries, otherwise None."""
    if len(entries) > MAX_RULES:
        return f"there would be more than {MAX_RULES:,} rules; remove some first"
    scope, most = next(iter(Counter(each.rule.scope for each in entries).most_common(1)), (None, 0))
    if most > MAX_RULES_PER_SCOPE:
        whose = f"scope {scope!r}" if scope else "everybody"
        return (
            f"there would be more than {MAX_RULES_PER_SCOPE:,} rules for {whose}; remove some first"
        )
    if sum(len(entry.rule.when.patterns) for entry in entries) > MAX_PATTERNS:
        return f"there would be more than {MAX_PATTERNS:,} regular expressions; remove some first"
    return None


def _add(verdict: Verdict | None, below: Verdict) -> Verdict:
    """Return a verdict that takes from `below` the members that `verdict` lacks."""
    if verdict is None:
        return below
    return Verdict(
        verdict.rule_id,
        below.text,
        below.calls,
        verdict.fault or below.fault,
        verdict.pace or below.pace,
    )


def _to_verdict(entry: _Entry, asked: RuleRequest) -> Verdict:
    rule = entry.rule
    if rule.reply is None:
        return Verdict(entry.id, None, (), rule.fault, rule.pace)
    text, calls = rule.reply.turn(entry.spoken)
    said = asked.question.prompt if text is None else text
    return Verdict(entry.id, said, calls, rule.fault, rule.pace)
