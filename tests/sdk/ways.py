"""What each client did with the questions that it asks in several ways."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.sdk.bodies import choice
from tests.sdk.programs import Client, Outcome


@dataclass(frozen=True, slots=True)
class Way:
    """One way, what the client made of its answer, and the calls that it took, oldest first."""

    client: Client
    kind: str
    name: str
    answer: dict[str, Any]
    calls: Sequence[dict[str, Any]]

    @property
    def choices(self) -> list[str]:
        return [choice(call["body"]) for call in self.calls]

    @property
    def is_forced(self) -> bool:
        """Whether the last call must be answered by a call of a tool, or to a schema."""
        return bool(self.choices) and self.choices[-1] in ("any", "tool", "schema")

    @property
    def is_ruled(self) -> bool:
        """Whether a rule answered the last call."""
        return bool(self.calls) and self.calls[-1]["rule_id"] is not None

    @property
    def is_forced_call(self) -> bool:
        return self.is_forced and self.choices[-1] != "schema"


def find_ways(client: Client, outcome: Outcome, kinds: Sequence[str]) -> Iterator[Way]:
    for kind in kinds:
        for name, answer in outcome.answers.get(kind, {}).items():
            yield Way(client, kind, name, answer, outcome.calls_of(kind, name))
