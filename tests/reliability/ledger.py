"""What became of each call, by the client, the journal and the metrics, and where they differ."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.reliability.answers import ANSWERED, CUT, LEFT
from tests.reliability.mix import Kind
from tests.support.metrics import CALLS, Scrape

MARK = "x-trial-call"  # a header of each call, by which the journal's entry is found
SHOWN = 20  # differences that are kept in words
# The words of journal and metrics, in those of `Answer.outcome`.
ENDS = {"stop": ANSWERED, "length": ANSWERED, "ok": ANSWERED, "cut": CUT, "cancelled": LEFT}

Count = Counter[tuple[str, str]]  # by operation and outcome


@dataclass(slots=True)
class Made:
    """One call that was made, and what its client saw."""

    mark: str
    kind: Kind
    seen: str


@dataclass(slots=True)
class Ledger:
    """Counts by operation and outcome. `wrong` are sentences, the first few."""

    calls: int = 0
    kept: int = 0
    clients: Count = field(default_factory=Counter)
    differences: int = 0
    wrong: list[str] = field(default_factory=list)

    def settle(self, made: Iterable[Made], entries: Iterable[Mapping[str, Any]]) -> None:
        """Compare a caller's calls with its part of the journal: each there once, and alike."""
        known: dict[str, list[Mapping[str, Any]]] = {}
        for entry in entries:
            known.setdefault(str(entry["headers"].get(MARK)), []).append(entry)
        for call in made:
            found = known.pop(call.mark, [])
            self.calls += 1
            outcome = self._compare(call, found) if call.kind.is_kept else self._check(call)
            self.clients[call.kind.operation, outcome] += 1
        for mark in known:
            self.differ(f"the journal has a call {mark} that nobody made")

    def _compare(self, call: Made, found: list[Mapping[str, Any]]) -> str:
        """Return what became of the call. If its client left, only the service knows."""
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
        if len(self.wrong) < SHOWN:
            self.wrong.append(sentence)

    def compare_metrics(self, before: Scrape, after: Scrape) -> None:
        """Compare all calls with what the metrics have counted meanwhile."""
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
