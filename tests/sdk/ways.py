"""Outcomes of the questions that a client asks in several ways."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from invoke_api.testing import JournalEntry
from tests.sdk.bodies import choice
from tests.sdk.programs import Client, Outcome


@dataclass(frozen=True, slots=True)
class Way:
    """A way, the client's result, and its calls, oldest first."""

    client: Client
    kind: str
    name: str
    answer: dict[str, Any]
    calls: Sequence[JournalEntry]

    @property
    def choices(self) -> list[str]:
        return [choice(call["body"]) for call in self.calls]

    @property
    def is_forced(self) -> bool:
        """Tell whether the last call forces a call of a tool, or a schema."""
        return bool(self.choices) and self.choices[-1] in ("any", "tool", "schema")

    @property
    def is_ruled(self) -> bool:
        """Tell whether a rule answered the last call."""
        return bool(self.calls) and self.calls[-1]["rule_id"] is not None

    @property
    def is_forced_call(self) -> bool:
        return self.is_forced and self.choices[-1] != "schema"


def find_ways(client: Client, outcome: Outcome, kinds: Sequence[str]) -> Iterator[Way]:
    for kind in kinds:
        for name, answer in outcome.answers.get(kind, {}).items():
            yield Way(client, kind, name, answer, outcome.calls_of(kind, name))
