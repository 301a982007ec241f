"""Outcomes of calls by client, journal and metrics, and their differences."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.reliability.answers import ANSWERED, CUT, LEFT
from tests.reliability.mix import Kind
from tests.support.metrics import CALLS, Scrape

CALL_HEADER = "x-trial-call"  # a header that identifies a call in the journal
MAX_SHOWN = 20  # differences that are kept as sentences
# The journal's and metrics' terms, as terms of `Answer.outcome`.
ENDS = {"stop": ANSWERED, "length": ANSWERED, "ok": ANSWERED, "cut": CUT, "cancelled": LEFT}

Count = Counter[tuple[str, str]]  # by operation and outcome


@dataclass(slots=True)
class Made:
    """A call, with the outcome that its client saw."""

    mark: str
    kind: Kind
    seen: str


@dataclass(slots=True)
class Ledger:
    """Counts by operation and outcome. `wrong` has the first differences as sentences."""

    calls: int = 0
    kept: int = 0
    clients: Count = field(default_factory=Counter)
    differences: int = 0
    wrong: list[str] = field(default_factory=list)

    def settle(self, made: Iterable[Made], entries: Iterable[Mapping[str, Any]]) -> None:
        """Compare a caller's calls with its journal: each is there once, with the same outcome."""
        known: dict[str, list[Mapping[str, Any]]] = {}
        for entry in entries:
            known.setdefault(str(entry["headers"].get(CALL_HEADER)), []).append(entry)
        for call in made:
            found = known.pop(call.mark, [])
            self.calls += 1
            outcome = self._compare(call, found) if call.kind.is_kept else self._check(call)
            self.clients[call.kind.operation, outcome] += 1
        for mark in known:
            self.differ(f"the journal has a call {mark} that nobody made")

    def _compare(self, call: Made, found: list[Mapping[str, Any]]) -> str:
        """Return the outcome of a call. If its client left, only the service knows it."""
        self.kept += len(found)
        if len(found) != 1:
            self.differ(f"{call.kind.name}: {len(found)} entries in the journal")
            return call.seen
        told = _outcome_of(found[0])
        wanted = call.kind.outcome
        if call.seen == LEFT:
            if told not in (LEFT, ANSWERED):
                self.differ(f"{call.kind.name}: its client left, the journal says {told}")
        elif not call.seen == told == wanted:
            self.differ(f"{call.kind.name}: {wanted} wanted, client {call.seen}, journal {told}")
        return told

    def _check(self, call: Made) -> str:
        if call.seen != call.kind.outcome:
            self.differ(f"{call.kind.name}: {call.kind.outcome} wanted, client {call.seen}")
        return call.seen

    def differ(self, sentence: str) -> None:
        self.differences += 1
        if len(self.wrong) < MAX_SHOWN:
            self.wrong.append(sentence)

    def compare_metrics(self, before: Scrape, after: Scrape) -> None:
        """Compare all calls with the metrics."""
        told = metrics_of(after)
        told.subtract(metrics_of(before))
        for key in {*told, *self.clients}:
            if told[key] != self.clients[key]:
                operation, outcome = key
                mine = self.clients[key]
                self.differ(f"{operation} {outcome}: {mine} calls, {told[key]} in the metrics")


def _outcome_of(entry: Mapping[str, Any]) -> str:
    if entry["error"]:
        return str(entry["error"]["type"])
    return ENDS.get(entry["ended"], "no end")


def metrics_of(scrape: Scrape) -> Count:
    count: Count = Counter()
    for (name, labels), value in scrape.samples.items():
        if name == CALLS:
            of = dict(labels)
            count[of["operation"], of["error"] or ENDS[of["outcome"]]] += round(value)
    return count
