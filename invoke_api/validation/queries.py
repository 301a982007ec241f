"""The service model's constraints on the path and query of operations that list or get things.

`tests/validation/test_constraints.py` compares these tables with botocore's service model.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from invoke_api.validation.constraints import ACCOUNT_ID, ARN_PREFIX, Member, raise_violations

NAME_PART = "[a-z0-9-]{1,63}"
REGION_NAME = "[a-z0-9-]{1,20}"
RESOURCE_NAME = "([0-9a-zA-Z][_-]?)"
VERSION_SUFFIX = f"([:]{NAME_PART}){{0,2}}"
KNOWN_PARTITION_ARN_PREFIX = "arn:aws(|-us-gov|-cn|-iso|-iso-b):bedrock:"
FOUNDATION_MODEL_ARN = (
    f"{ARN_PREFIX}{REGION_NAME}::foundation-model/{NAME_PART}[.]{{1}}({NAME_PART}[.]){{0,2}}"
    f"{NAME_PART}{VERSION_SUFFIX}"
)
PROFILE_ARN = (
    f"{KNOWN_PARTITION_ARN_PREFIX}(|[0-9a-z-]{{0,20}}):(|{ACCOUNT_ID}):"
    "(inference-profile|application-inference-profile)/"
)
MODEL_ARN = (
    f"{ARN_PREFIX}{REGION_NAME}:(({ACCOUNT_ID}:custom-model/((imported)|"
    f"({NAME_PART}[.]{{1}}{NAME_PART}))({VERSION_SUFFIX})?/[a-z0-9]{{12}})|(:foundation-model/"
    f"{NAME_PART}[.]{{1}}({NAME_PART}[.]){{0,2}}{NAME_PART}{VERSION_SUFFIX}))"
)
CUSTOM_MODEL_ARN = (
    f"{KNOWN_PARTITION_ARN_PREFIX}{REGION_NAME}:{ACCOUNT_ID}:custom-model/(imported|"
    f"{NAME_PART}[.]{{1}}{NAME_PART}({NAME_PART}[.]){{0,2}}{NAME_PART}{VERSION_SUFFIX})"
    "/[a-z0-9]{12}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberMember(Member):
    """A member that is an integer. `minimum` and `maximum` are its bounds."""

    def violations(self, value: str) -> Iterator[str]:
        said = f"Value '{value}' at '{self.name}' failed to satisfy constraint: Member must"
        if not re.fullmatch(r"[+-]?[0-9]{1,10}", value):
            yield f"{said} be an integer"  # guess: no SDK sends anything else
        elif self.maximum is not None and int(value) > self.maximum:
            yield f"{said} have value less than or equal to {self.maximum}"
        elif int(value) < self.minimum:
            yield f"{said} have value greater than or equal to {self.minimum}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeMember(Member):
    """A member that is an ISO 8601 timestamp."""

    def violations(self, value: str) -> Iterator[str]:
        if parse_time(value) is None:  # guess: no SDK sends anything else
            said = f"Value '{value}' at '{self.name}' failed to satisfy constraint: Member must"
            yield f"{said} be a timestamp"


def check_query(members: Mapping[str, Member], query: Mapping[str, str]) -> None:
    """Raise `ValidationException` with all violations. Other parameters are ignored."""
    raise_violations(
        [
            violation
            for name, member in members.items()
            if name in query
            for violation in member.violations(query[name])
        ]
    )


def parse_time(text: str) -> datetime | None:
    """Return the time of an ISO 8601 text, by default in UTC, or None for an invalid text."""
    if not re.fullmatch("[0-9TZ:.+-]{10,40}", text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


PROJECT_MEMBER = Member(
    name="projectIdentifier",
    pattern=f"([a-zA-Z0-9_-]+|{ARN_PREFIX}[0-9a-z-]{{1,20}}:[0-9]{{12}}:project/[a-zA-Z0-9_-]+)",
    minimum=1,
    maximum=2048,
)

# One table per operation. A key is the name on the wire, `name` the service model's.
LIST_FOUNDATION_MODELS: Mapping[str, Member] = {
    "byProvider": Member(name="byProvider", pattern="[A-Za-z0-9- ]{1,63}"),
    "byCustomizationType": Member(
        name="byCustomizationType", enum=("FINE_TUNING", "CONTINUED_PRE_TRAINING", "DISTILLATION")
    ),
    "byOutputModality": Member(name="byOutputModality", enum=("TEXT", "IMAGE", "EMBEDDING")),
    # Guess: INFERENCE_PROFILE, which the service model lacks, is refused.
    "byInferenceType": Member(name="byInferenceType", enum=("ON_DEMAND", "PROVISIONED")),
    "projectIdentifier": PROJECT_MEMBER,
}
GET_FOUNDATION_MODEL: Mapping[str, Member] = {
    "modelIdentifier": Member(
        name="modelIdentifier",
        pattern=f"({FOUNDATION_MODEL_ARN})|([a-z0-9-]{{1,63}}[.]{{1}}[a-z0-9-]{{1,63}}"
        "([.]?[a-z0-9-]{1,63})([:][a-z0-9-]{1,63}){0,2})",
        minimum=1,
        maximum=2048,
    ),
    "projectIdentifier": PROJECT_MEMBER,
}
GET_FOUNDATION_MODEL_AVAILABILITY: Mapping[str, Member] = {
    "modelId": Member(
        name="modelId",
        pattern="[a-z0-9-]{1,63}[.]{1}[a-z0-9-]{1,63}([a-z0-9-]{1,63}[.]){0,2}[a-z0-9-]{1,63}"
        "([:][a-z0-9-]{1,63}){0,2}(/[a-z0-9]{12}|)",
        maximum=140,
    )
}
LIST_INFERENCE_PROFILES: Mapping[str, Member] = {
    "maxResults": NumberMember(name="maxResults", minimum=1, maximum=1000),
    "nextToken": Member(name="nextToken", pattern=r"\S*", minimum=1, maximum=2048),
    "type": Member(name="typeEquals", enum=("SYSTEM_DEFINED", "APPLICATION")),
    "projectIdentifier": PROJECT_MEMBER,
}
GET_INFERENCE_PROFILE: Mapping[str, Member] = {
    "inferenceProfileIdentifier": Member(
        name="inferenceProfileIdentifier",
        pattern=f"({PROFILE_ARN})?[a-zA-Z0-9-:.]+",
        minimum=1,
        maximum=2048,
    ),
    "projectIdentifier": PROJECT_MEMBER,
}
DELETE_INFERENCE_PROFILE: Mapping[str, Member] = {
    "inferenceProfileIdentifier": GET_INFERENCE_PROFILE["inferenceProfileIdentifier"]
}
COUNT_TOKENS: Mapping[str, Member] = {
    "modelId": Member(name="modelId", pattern=r"[a-zA-Z_\.\-/0-9:]+", minimum=1, maximum=256)
}


def _listing(*members: Member) -> Mapping[str, Member]:
    """Return `members` and the members that all lists have."""
    sorting = (
        Member(name="sortBy", enum=("CreationTime",)),
        Member(name="sortOrder", enum=("Ascending", "Descending")),
    )
    pages = {key: LIST_INFERENCE_PROFILES[key] for key in ("maxResults", "nextToken")}
    return {**pages, **{member.name: member for member in (*sorting, *members)}}


GET_PROVISIONED: Mapping[str, Member] = {
    "provisionedModelId": Member(
        name="provisionedModelId",
        pattern=f"(({RESOURCE_NAME}+)|"
        f"({ARN_PREFIX}{REGION_NAME}:{ACCOUNT_ID}:provisioned-model/[a-z0-9]{{12}}))",
    )
}
LIST_PROVISIONED = _listing(
    TimeMember(name="creationTimeAfter"),
    TimeMember(name="creationTimeBefore"),
    Member(name="statusEquals", enum=("Creating", "InService", "Updating", "Failed")),
    Member(name="modelArnEquals", pattern=MODEL_ARN, minimum=20, maximum=1011),
    Member(name="nameContains", pattern=f"{RESOURCE_NAME}+", minimum=1, maximum=63),
)
GET_IMPORTED: Mapping[str, Member] = {
    "modelIdentifier": Member(
        name="modelIdentifier",
        pattern=f"({ARN_PREFIX}{REGION_NAME}:{ACCOUNT_ID}:imported-model/[a-z0-9]{{12}})"
        f"|({RESOURCE_NAME}+)",
        minimum=1,
        maximum=1011,
    )
}
LIST_IMPORTED = _listing(
    TimeMember(name="creationTimeAfter"),
    TimeMember(name="creationTimeBefore"),
    Member(name="nameContains", pattern=f"{RESOURCE_NAME}+", minimum=1, maximum=63),
)
GET_DEPLOYMENT: Mapping[str, Member] = {
    "customModelDeploymentIdentifier": Member(
        name="customModelDeploymentIdentifier",
        pattern=f"({KNOWN_PARTITION_ARN_PREFIX}{REGION_NAME}:{ACCOUNT_ID}:custom-model-deployment/"
        f"[a-z0-9]{{12}})|^{RESOURCE_NAME}{{1,63}}",
        minimum=1,
        maximum=93,
    )
}
LIST_DEPLOYMENTS = _listing(
    TimeMember(name="createdAfter"),
    TimeMember(name="createdBefore"),
    Member(name="statusEquals", enum=("Creating", "Active", "Failed")),
    Member(name="modelArnEquals", pattern=CUSTOM_MODEL_ARN, minimum=20, maximum=1011),
    Member(name="nameContains", pattern=f"{RESOURCE_NAME}{{1,63}}", minimum=1, maximum=63),
)
