"""The constraints that the service model puts on what a request asks for in its path and query.

`tests/validation/test_constraints.py` holds these tables against botocore's service model.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from invoke_api.validation.constraints import ACCOUNT, ARN, Member, refuse

FOUNDATION_MODEL_ARN = (
    f"{ARN}[a-z0-9-]{{1,20}}::foundation-model/[a-z0-9-]{{1,63}}[.]{{1}}([a-z0-9-]{{1,63}}[.])"
    "{0,2}[a-z0-9-]{1,63}([:][a-z0-9-]{1,63}){0,2}"
)
PROFILE_ARN = (
    "arn:aws(|-us-gov|-cn|-iso|-iso-b):bedrock:(|[0-9a-z-]{0,20}):(|[0-9]{12}):"
    "(inference-profile|application-inference-profile)/"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Member):
    """A member that is a whole number; `shortest` and `longest` are its bounds."""

    def violations(self, value: str) -> Iterator[str]:
        said = f"Value '{value}' at '{self.name}' failed to satisfy constraint: Member must"
        if not re.fullmatch(r"[+-]?[0-9]{1,10}", value):
            yield f"{said} be an integer"  # guess: no SDK sends anything else
        elif self.longest is not None and int(value) > self.longest:
            yield f"{said} have value less than or equal to {self.longest}"
        elif int(value) < self.shortest:
            yield f"{said} have value greater than or equal to {self.shortest}"


PROJECT = Member(
    name="projectIdentifier",
    pattern=f"([a-zA-Z0-9_-]+|{ARN}[0-9a-z-]{{1,20}}:[0-9]{{12}}:project/[a-zA-Z0-9_-]+)",
    shortest=1,
    longest=2048,
)

# By what is called; the keys are the names on the wire, `name` the service model's.
LIST_FOUNDATION_MODELS: Mapping[str, Member] = {
    "byProvider": Member(name="byProvider", pattern="[A-Za-z0-9- ]{1,63}"),
    "byCustomizationType": Member(
        name="byCustomizationType", enum=("FINE_TUNING", "CONTINUED_PRE_TRAINING", "DISTILLATION")
    ),
    "byOutputModality": Member(name="byOutputModality", enum=("TEXT", "IMAGE", "EMBEDDING")),
    # Guess: INFERENCE_PROFILE, which the service model forgets, may not be asked for.
    "byInferenceType": Member(name="byInferenceType", enum=("ON_DEMAND", "PROVISIONED")),
    "projectIdentifier": PROJECT,
}
GET_FOUNDATION_MODEL: Mapping[str, Member] = {
    "modelIdentifier": Member(
        name="modelIdentifier",
        pattern=f"({FOUNDATION_MODEL_ARN})|([a-z0-9-]{{1,63}}[.]{{1}}[a-z0-9-]{{1,63}}"
        "([.]?[a-z0-9-]{1,63})([:][a-z0-9-]{1,63}){0,2})",
        shortest=1,
        longest=2048,
    ),
    "projectIdentifier": PROJECT,
}
GET_FOUNDATION_MODEL_AVAILABILITY: Mapping[str, Member] = {
    "modelId": Member(
        name="modelId",
        pattern="[a-z0-9-]{1,63}[.]{1}[a-z0-9-]{1,63}([a-z0-9-]{1,63}[.]){0,2}[a-z0-9-]{1,63}"
        "([:][a-z0-9-]{1,63}){0,2}(/[a-z0-9]{12}|)",
        longest=140,
    )
}
LIST_INFERENCE_PROFILES: Mapping[str, Member] = {
    "maxResults": Number(name="maxResults", shortest=1, longest=1000),
    "nextToken": Member(name="nextToken", pattern=r"\S*", shortest=1, longest=2048),
    "type": Member(name="typeEquals", enum=("SYSTEM_DEFINED", "APPLICATION")),
    "projectIdentifier": PROJECT,
}
GET_INFERENCE_PROFILE: Mapping[str, Member] = {
    "inferenceProfileIdentifier": Member(
        name="inferenceProfileIdentifier",
        pattern=f"({PROFILE_ARN})?[a-zA-Z0-9-:.]+",
        shortest=1,
        longest=2048,
    ),
    "projectIdentifier": PROJECT,
}
DELETE_INFERENCE_PROFILE: Mapping[str, Member] = {
    "inferenceProfileIdentifier": GET_INFERENCE_PROFILE["inferenceProfileIdentifier"]
}
COUNT_TOKENS: Mapping[str, Member] = {
    "modelId": Member(name="modelId", pattern=r"[a-zA-Z_\.\-/0-9:]+", shortest=1, longest=256)
}


def check_query(members: Mapping[str, Member], query: Mapping[str, str]) -> None:
    """Raises `ValidationException` that names all violations; others than these may be there."""
    refuse(
        [
            violation
            for name, member in members.items()
            if name in query
            for violation in member.violations(query[name])
        ]
    )


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
