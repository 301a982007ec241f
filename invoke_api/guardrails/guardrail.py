"""A guardrail: what is looked for in which direction, and what is done about it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from invoke_api.guardrails.search import Seeker
from invoke_api.models.identifiers import PARTITIONS
from invoke_api.wire.errors import ValidationException

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


UNKNOWN = "The guardrail identifier or version provided in the request does not exist."
INVALID = "The provided guardrail identifier is invalid."
MALFORMED = "Guardrail was enabled but input is in incorrect format."

ARN = re.compile(
    r"arn:(?P<partition>aws(?:-[^:]+)?):bedrock:(?P<region>[a-z0-9-]{1,20}):[0-9]{12}:guardrail/"
    r"(?P<id>[a-z0-9]+)"
)
ID = re.compile(r"[a-z0-9]+")
VERSION = re.compile(r"[1-9][0-9]{0,7}|DRAFT")


class Shelf:
    def __init__(self, guardrails: Iterable[Guardrail] = ()) -> None:
        self._guardrails = {(each.id, each.version): each for each in guardrails}

    def find(self, identifier: str, version: str, region: str) -> Guardrail:
        """Raises `ValidationException` for what is malformed and for what there is not.

        Guess: an id that AWS could not have made, which has 12 characters, is invalid; one that it
        could does not exist.
        """
        arn = ARN.fullmatch(identifier)
        found_id = arn["id"] if arn else identifier
        if not ID.fullmatch(found_id) or not VERSION.fullmatch(version):
            raise ValidationException(MALFORMED)
        is_here = not arn or (
            arn["region"] == region and arn["partition"] == PARTITIONS.get(region)
        )
        guardrail = self._guardrails.get((found_id, version)) if is_here else None
        if guardrail is None:
            raise ValidationException(UNKNOWN if len(found_id) == 12 else INVALID)
        return guardrail
