"""The constraints on paths and queries about provisioned models, deployments and imported models.

`tests/validation/test_constraints.py` holds them against botocore's service model.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from invoke_api.validation.constraints import ACCOUNT, ARN, Member
from invoke_api.validation.queries import LIST_INFERENCE_PROFILES

PART = "[a-z0-9-]{1,63}"
REGION = "[a-z0-9-]{1,20}"
NAME = "([0-9a-zA-Z][_-]?)"
VERSIONS = f"([:]{PART}){{0,2}}"
OLD_ARN = "arn:aws(|-us-gov|-cn|-iso|-iso-b):bedrock:"  # in the newer shapes
MODEL_ARN = (
    f"{ARN}{REGION}:(({ACCOUNT}:custom-model/((imported)|({PART}[.]{{1}}{PART}))"
    f"({VERSIONS})?/[a-z0-9]{{12}})|(:foundation-model/{PART}[.]{{1}}({PART}[.]){{0,2}}{PART}"
    f"{VERSIONS}))"
)
CUSTOM_MODEL_ARN = (
    f"{OLD_ARN}{REGION}:{ACCOUNT}:custom-model/(imported|{PART}[.]{{1}}{PART}({PART}[.]){{0,2}}"
    f"{PART}{VERSIONS})/[a-z0-9]{{12}}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Time(Member):
    """A member that is a point in time, as ISO 8601 has it."""

    def violations(self, value: str) -> Iterator[str]:
        if parse_time(value) is None:  # guess: no SDK sends anything else
            said = f"Value '{value}' at '{self.name}' failed to satisfy constraint: Member must"
            yield f"{said} be a timestamp"


def parse_time(text: str) -> datetime | None:
    """Return the time, in UTC where none is said, or None for what is none."""
    if not re.fullmatch("[0-9TZ:.+-]{10,40}", text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _listing(*members: Member) -> Mapping[str, Member]:
    """What all lists have, with `members`."""
    sorting = (
        Member(name="sortBy", enum=("CreationTime",)),
        Member(name="sortOrder", enum=("Ascending", "Descending")),
    )
    pages = {key: LIST_INFERENCE_PROFILES[key] for key in ("maxResults", "nextToken")}
    return {**pages, **{member.name: member for member in (*sorting, *members)}}


GET_PROVISIONED: Mapping[str, Member] = {
    "provisionedModelId": Member(
        name="provisionedModelId",
        pattern=f"(({NAME}+)|({ARN}{REGION}:{ACCOUNT}:provisioned-model/[a-z0-9]{{12}}))",
    )
}
LIST_PROVISIONED = _listing(
    Time(name="creationTimeAfter"),
    Time(name="creationTimeBefore"),
    Member(name="statusEquals", enum=("Creating", "InService", "Updating", "Failed")),
    Member(name="modelArnEquals", pattern=MODEL_ARN, shortest=20, longest=1011),
    Member(name="nameContains", pattern=f"{NAME}+", shortest=1, longest=63),
)
GET_IMPORTED: Mapping[str, Member] = {
    "modelIdentifier": Member(
        name="modelIdentifier",
        pattern=f"({ARN}{REGION}:{ACCOUNT}:imported-model/[a-z0-9]{{12}})|({NAME}+)",
        shortest=1,
        longest=1011,
    )
}
LIST_IMPORTED = _listing(
    Time(name="creationTimeAfter"),
    Time(name="creationTimeBefore"),
    Member(name="nameContains", pattern=f"{NAME}+", shortest=1, longest=63),
)
GET_DEPLOYMENT: Mapping[str, Member] = {
    "customModelDeploymentIdentifier": Member(
        name="customModelDeploymentIdentifier",
        pattern=f"({OLD_ARN}{REGION}:{ACCOUNT}:custom-model-deployment/[a-z0-9]{{12}})"
        f"|^{NAME}{{1,63}}",
        shortest=1,
        longest=93,
    )
}
LIST_DEPLOYMENTS = _listing(
    Time(name="createdAfter"),
    Time(name="createdBefore"),
    Member(name="statusEquals", enum=("Creating", "Active", "Failed")),
    Member(name="modelArnEquals", pattern=CUSTOM_MODEL_ARN, shortest=20, longest=1011),
    Member(name="nameContains", pattern=f"{NAME}{{1,63}}", shortest=1, longest=63),
)
