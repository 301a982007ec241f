"""Guardrails: filters, the actions on their findings, and the store that finds a guardrail."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from invoke_api.guardrails.search import Matcher
from invoke_api.models.identifiers import PARTITIONS
from invoke_api.wire.errors import ValidationException

ContentSource = Literal["INPUT", "OUTPUT"]
FilterKind = Literal["topic", "word", "pii", "regex"]
# The action on a finding, in the words of an assessment.
Action = Literal["BLOCKED", "ANONYMIZED", "NONE"]

SOURCES: tuple[ContentSource, ...] = ("INPUT", "OUTPUT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """One filter. Without a `matcher` it finds nothing.

    `name` is a topic's or regex's name, a word, or a type of PII. `actions` has an entry for each
    direction that is searched. `enabled` are the directions that are charged. `regex` is the
    pattern's text.
    """

    kind: FilterKind
    name: str
    matcher: Matcher | None
    actions: Mapping[ContentSource, Action]
    enabled: frozenset[ContentSource]
    regex: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentFilter:
    """A filter of AWS's own model, which finds nothing here. `strengths` are shown in traces."""

    type: str
    strengths: Mapping[ContentSource, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail:
    """One version of a guardrail. `blocked` are the messages that replace blocked texts."""

    id: str
    version: str
    blocked: Mapping[ContentSource, str]
    filters: tuple[Filter, ...] = ()
    content_filters: tuple[ContentFilter, ...] = field(default=())
    is_grounded: bool = False

    def to_arn(self, region: str, account: str) -> str:
        return f"arn:aws:bedrock:{region}:{account}:guardrail/{self.id}"


UNKNOWN_GUARDRAIL = "The guardrail identifier or version provided in the request does not exist."
INVALID_IDENTIFIER = "The provided guardrail identifier is invalid."
MALFORMED_INPUT = "Guardrail was enabled but input is in incorrect format."

GUARDRAIL_ARN = re.compile(
    r"arn:(?P<partition>aws(?:-[^:]+)?):bedrock:(?P<region>[a-z0-9-]{1,20}):[0-9]{12}:guardrail/"
    r"(?P<id>[a-z0-9]+)"
)
GUARDRAIL_ID = re.compile(r"[a-z0-9]+")
GUARDRAIL_VERSION = re.compile(r"[1-9][0-9]{0,7}|DRAFT")


class GuardrailStore:
    """All configured guardrails, by id and version."""

    def __init__(self, guardrails: Iterable[Guardrail] = ()) -> None:
        self._guardrails = {(each.id, each.version): each for each in guardrails}

    def find(self, identifier: str, version: str, region: str) -> Guardrail:
        """Return a guardrail by its id or ARN.

        Raises `ValidationException` for a malformed identifier and for a missing guardrail. Guess:
        the message for a missing guardrail depends on whether the id has 12 characters, as AWS's
        ids have.
        """
        arn = GUARDRAIL_ARN.fullmatch(identifier)
        found_id = arn["id"] if arn else identifier
        if not GUARDRAIL_ID.fullmatch(found_id) or not GUARDRAIL_VERSION.fullmatch(version):
            raise ValidationException(MALFORMED_INPUT)
        is_here = not arn or (
            arn["region"] == region and arn["partition"] == PARTITIONS.get(region)
        )
        guardrail = self._guardrails.get((found_id, version)) if is_here else None
        if guardrail is None:
            raise ValidationException(
                UNKNOWN_GUARDRAIL if len(found_id) == 12 else INVALID_IDENTIFIER
            )
        return guardrail
