"""A guardrail: what is looked for in which direction, and what is done about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from invoke_api.guardrails.searching import Seeker

Source = Literal["INPUT", "OUTPUT"]
Kind = Literal["topic", "word", "pii", "regex"]
# What is done about a finding, in the words of its assessment.
Action = Literal["BLOCKED", "ANONYMIZED", "NONE"]

SOURCES: tuple[Source, ...] = ("INPUT", "OUTPUT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """One thing to look for; without a `seeker` it is never found.

    `name` is a topic's or regex's name, a word, or a type of PII. `actions` has the directions in
    which it is looked for, `enabled` those that are charged for it. `regex` is as it was written.
    """

    kind: Kind
    name: str
    seeker: Seeker | None
    actions: Mapping[Source, Action]
    enabled: frozenset[Source]
    regex: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentFilter:
    """A kind of harm that AWS's own model finds, and nothing here; `strengths` are to be shown."""

    type: str
    strengths: Mapping[Source, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail:
    """One version of a guardrail; `blocked` is what is said in place of what it blocks."""

    id: str
    version: str
    blocked: Mapping[Source, str]
    filters: tuple[Filter, ...] = ()
    content_filters: tuple[ContentFilter, ...] = field(default=())
    is_grounded: bool = False

    def to_arn(self, region: str, account: str) -> str:
        return f"arn:aws:bedrock:{region}:{account}:guardrail/{self.id}"
