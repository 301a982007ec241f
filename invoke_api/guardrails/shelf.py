"""The guardrails there are, found as calls name them, and Bedrock's words where there is none."""

import re
from collections.abc import Iterable

from invoke_api.guardrails.guardrail import Guardrail
from invoke_api.identifiers import PARTITIONS
from invoke_api.wire.errors import ValidationException

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
