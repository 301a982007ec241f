"""Application inference profiles and other resources of an account: answers, errors, tags."""

from collections.abc import Mapping
from typing import Any

from tests.fidelity.case import GUESS, Case
from tests.fidelity.catalogue import MODELLED, asked, profile
from tests.fidelity.headers import detected
from tests.fidelity.identifiers import ACCOUNT, HERE, LARGE_2407, PIXTRAL, arn
from tests.support.servers import SEVEN_B

OWN_PROFILE = f"{HERE}:application-inference-profile/abcdefghij12"  # in the registry
UNKNOWN = f"{HERE}:application-inference-profile/abcdefghijkl"
US_PIXTRAL = f"{HERE}:inference-profile/us.{PIXTRAL}"
NO_SOURCE = "copyFrom must be a valid inference profile model source ARN."
NOT_FOUND = "The provided inference profile identifier is not found."
CORAL = "Coral's sentence as seen on Converse since 2026"
SAID: dict[str, Any] = {"status": 400, "code": "ValidationException"}
MISSING: dict[str, Any] = {"status": 404, "code": "ResourceNotFoundException"}
MUST = "failed to satisfy constraint: Member must"
NAME_PATTERN = "satisfy regular expression pattern: ([0-9a-zA-Z][ _-]?)+"
SOURCE_PATTERN = (
    "satisfy regular expression pattern: arn:aws(|-us-gov|-cn|-iso|-iso-b):bedrock:"
    "(|[0-9a-z-]{0,20}):(|[0-9]{12}):(inference-profile|foundation-model)/[a-zA-Z0-9-:.]+"
)


def created(name: str, seen: str, message: str, why: str = "", **body: Any) -> Case:
    """Return a row with a refused CreateInferenceProfile."""
    whole = {"inferenceProfileName": "costs", "modelSource": {"copyFrom": arn(SEVEN_B)}} | body
    sent = {key: value for key, value in whole.items() if value is not None}
    more: dict[str, Any] = {"method": "POST", "body": sent, "message": message, "why": why, **SAID}
    return asked(name, "/inference-profiles", seen, **more)


def tagged(
    name: str, path: str, body: Mapping[str, Any], message: str, why: str, **more: Any
) -> Case:
    """Return a row with a refused call about tags."""
    row = {"method": "POST", "body": body, "message": message, "why": why, **SAID, **more}
    return asked(name, path, GUESS, **row)


CREATED = [
    created(
        "a profile without name and source",
        GUESS,
        detected(
            f"Value at 'inferenceProfileName' {MUST} not be null",
            f"Value at 'modelSource' {MUST} not be null",
        ),
        CORAL,
        inferenceProfileName=None,
        modelSource=None,
    ),
    created(
        "a profile's name with two blanks in a row",
        GUESS,
        detected(f"Value at 'inferenceProfileName' {MUST} {NAME_PATTERN}"),
        CORAL,
        inferenceProfileName="a  b",
    ),
    created(
        "a profile of another application's profile",
        GUESS,
        detected(f"Value at 'modelSource.copyFrom' {MUST} {SOURCE_PATTERN}"),
        CORAL,
        modelSource={"copyFrom": OWN_PROFILE},
    ),
    created(
        "a profile of a model's id",
        GUESS,
        detected(f"Value at 'modelSource.copyFrom' {MUST} {SOURCE_PATTERN}"),
        CORAL,
        modelSource={"copyFrom": SEVEN_B},
    ),
    created(
        "a profile of nothing",
        GUESS,
        "InferenceProfileModelSource object at modelSource must set one of the following keys:"
        " copyFrom.",
        "seen for ContentBlock",
        modelSource={},
    ),
    created(
        "a profile of a model that is not on demand",
        "awslabs/aws-solutions-constructs#1387",
        NO_SOURCE,
        modelSource={"copyFrom": arn(PIXTRAL)},
    ),
    *(
        created(f"a profile of {name}", GUESS, NO_SOURCE, "seen for another source", **source)
        for name, source in {
            "an unknown model": {"modelSource": {"copyFrom": arn("mistral.nope-v9:9")}},
            "a model that is elsewhere": {"modelSource": {"copyFrom": arn(LARGE_2407)}},
            "another region's model": {"modelSource": {"copyFrom": arn(SEVEN_B, "us-west-2")}},
            "an unknown profile": {"modelSource": {"copyFrom": f"{US_PIXTRAL}x"}},
            "another account's profile": {
                "modelSource": {"copyFrom": US_PIXTRAL.replace(ACCOUNT, "999999999999")}
            },
        }.items()
    ),
    created(
        "a tag twice",
        GUESS,
        "Duplicate tag keys are not allowed.",
        "other services of AWS refuse it",
        tags=[{"key": "team", "value": "a"}, {"key": "team", "value": "b"}],
    ),
    created(
        "a tag of AWS's",
        GUESS,
        "Tag keys that begin with aws: are reserved for system use.",
        "AWS's documents on tags: such a tag cannot be set",
        tags=[{"key": "aws:team", "value": "a"}],
    ),
]
TOLD = [
    asked(
        "a profile of the registry's",
        profile(OWN_PROFILE),
        GUESS,
        {
            "inferenceProfileName": "abcdefghij12",
            "inferenceProfileArn": OWN_PROFILE,
            "models": [{"modelArn": arn(SEVEN_B)}],
            "inferenceProfileId": "abcdefghij12",
            "status": "ACTIVE",
            "type": "APPLICATION",
        },
        why="the service model; the creation time is unknown",
        remote=False,
    ),
    asked("a profile that is not there", profile(UNKNOWN), GUESS, message=NOT_FOUND, **MISSING),
    asked(
        "a profile that is not there, deleted",
        profile(UNKNOWN),
        GUESS,
        method="DELETE",
        message=NOT_FOUND,
        why="as for GetInferenceProfile",
        **MISSING,
    ),
    asked(
        "a profile of Bedrock's, deleted",
        profile(US_PIXTRAL),
        GUESS,
        method="DELETE",
        message="A system-defined inference profile cannot be deleted.",
        why="ekristen/aws-nuke#903 says that it cannot be deleted",
        **SAID,
    ),
]
OWN = [
    asked(
        f"a {kind} of nobody's",
        path,
        GUESS,
        message=f"The provided {kind} identifier is not found.",
        why="the service model has this exception",
        **MISSING,
    )
    for kind, path in (
        ("provisioned model", "/provisioned-model-throughput/none"),
        ("custom model deployment", "/model-customization/custom-model-deployments/none"),
        ("imported model", "/imported-models/none"),
    )
]
TAGGED = [
    *(
        tagged(
            f"{path} of a profile that is not there",
            path,
            body,
            "The provided resource ARN is not found.",
            "the service model has this exception",
            **MISSING,
        )
        for path, body in (
            ("/tagResource", {"resourceARN": UNKNOWN, "tags": []}),
            ("/untagResource", {"resourceARN": UNKNOWN, "tagKeys": []}),
            ("/listTagsForResource", {"resourceARN": UNKNOWN}),
        )
    ),
    asked(
        "tags of what the registry names",
        "/listTagsForResource",
        MODELLED,
        {"tags": []},
        method="POST",
        body={"resourceARN": OWN_PROFILE},
        remote=False,
    ),
    tagged(
        "tags of Bedrock's profile",
        "/listTagsForResource",
        {"resourceARN": US_PIXTRAL},
        "Invoke API keeps tags of application inference profiles only.",
        "ekristen/aws-nuke#988: it is refused",
        remote=False,
    ),
    tagged(
        "no resource and no tags",
        "/tagResource",
        {},
        detected(
            f"Value at 'resourceARN' {MUST} not be null", f"Value at 'tags' {MUST} not be null"
        ),
        CORAL,
    ),
    tagged(
        "a tag without value",
        "/tagResource",
        {"resourceARN": OWN_PROFILE, "tags": [{"key": "team"}]},
        detected(f"Value at 'tags.1.member.value' {MUST} not be null"),
        CORAL,
    ),
]

TABLE = [*CREATED, *TOLD, *OWN, *TAGGED]
