"""The constraints that the service model puts on members of a request outside its body.

Coral, AWS's service framework, checks them all and says so in one sentence of its own.
`tests/validation/test_constraints.py` holds this table against botocore's service model.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import orjson

from invoke_api.wire.errors import ValidationException


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member of the request; `header` is None for the one that stands in the path."""

    name: str
    header: str | None = None
    enum: tuple[str, ...] = ()
    pattern: str = ""
    shortest: int = 0
    longest: int | None = None
    # Coral does not show what may be secret.
    is_sensitive: bool = False

    def violations(self, value: str) -> Iterator[str]:
        """Coral's words, pattern before length as heard."""
        shown = "" if self.is_sensitive else f" '{value}'"
        said = f"Value{shown} at '{self.name}' failed to satisfy constraint: Member must"
        if self.enum and value not in self.enum:
            yield f"{said} satisfy enum value set: [{', '.join(self.enum)}]"
        if self.pattern and not re.fullmatch(self.pattern, value):
            yield f"{said} satisfy regular expression pattern: {self.pattern}"
        if self.longest is not None and len(value) > self.longest:
            yield f"{said} have length less than or equal to {self.longest}"
        if len(value) < self.shortest:
            yield f"{said} have length greater than or equal to {self.shortest}"


ARN = "arn:aws(-[^:]+)?:bedrock:"
ACCOUNT = "[0-9]{12}"
MODEL_ID_PATTERN = (
    f"({ARN}[a-z0-9-]{{1,20}}:(({ACCOUNT}:custom-model/[a-z0-9-]{{1,63}}[.]{{1}}[a-z0-9-]{{1,63}}"
    "/[a-z0-9]{12})|(:foundation-model/[a-z0-9-]{1,63}[.]{1}[a-z0-9-]{1,63}([.:]?[a-z0-9-]{1,63}))"
    f"|({ACCOUNT}:imported-model/[a-z0-9]{{12}})|({ACCOUNT}:provisioned-model/[a-z0-9]{{12}})"
    f"|({ACCOUNT}:custom-model-deployment/[a-z0-9]{{12}})"
    f"|({ACCOUNT}:(inference-profile|application-inference-profile)/[a-zA-Z0-9-:.]+)))"
    "|([a-z0-9-]{1,63}[.]{1}[a-z0-9-]{1,63}([.:]?[a-z0-9-]{1,63}))|(([0-9a-zA-Z][_-]?)+)"
    "|([a-zA-Z0-9-:.]+)$"
    f"|(^({ARN}[a-z0-9-]{{1,20}}:{ACCOUNT}:prompt/[0-9a-zA-Z]{{10}}(?::[0-9]{{1,5}})?))$"
    f"|(^arn:aws:sagemaker:[a-z0-9-]+:{ACCOUNT}:endpoint/[a-zA-Z0-9-]+$)"
    f"|(^{ARN}([0-9a-z-]{{1,20}}):({ACCOUNT}):(default-)?prompt-router/[a-zA-Z0-9-:.]+$)"
)

# Of a guardrail's identifier and version that break their patterns, Bedrock was heard to say so in
# words of its own; see `guardrails/shelf.py`.
MEMBERS = (
    Member(name="modelId", pattern=MODEL_ID_PATTERN, shortest=1, longest=2048),
    Member(
        name="trace",
        header="X-Amzn-Bedrock-Trace",
        enum=("ENABLED", "DISABLED", "ENABLED_FULL"),
    ),
    Member(
        name="guardrailIdentifier",
        header="X-Amzn-Bedrock-GuardrailIdentifier",
        longest=2048,
    ),
    Member(name="guardrailVersion", header="X-Amzn-Bedrock-GuardrailVersion"),
    Member(
        name="performanceConfigLatency",
        header="X-Amzn-Bedrock-PerformanceConfig-Latency",
        enum=("standard", "optimized"),
    ),
    # Known since November 2026. Guess: there are no projects here, and one that is named is let be.
    Member(
        name="projectIdentifier",
        header="X-Amzn-Bedrock-ProjectIdentifier",
        pattern="([a-zA-Z0-9_-]+|arn:aws(|-us-gov|-cn|-iso|-iso-b|-iso-f|-eusc):bedrock:"
        f"[0-9a-z-]{{1,20}}:{ACCOUNT}:project/[a-zA-Z0-9_-]+)",
        shortest=1,
        longest=2048,
    ),
    Member(
        name="requestMetadata",
        header="X-Amzn-Bedrock-Request-Metadata",
        longest=8500,
        is_sensitive=True,
    ),
)
MODEL_ID = MEMBERS[0]
KEYS = tuple((member.header.lower(), member) for member in MEMBERS if member.header)


def check_members(model_id: str, headers: Mapping[str, str]) -> None:
    """Raises `ValidationException` that names all violations.

    Names of headers are in small letters, as ASGI has them.
    """
    violations = [*_violations_of_id(model_id)]
    for key, member in KEYS:
        if key in headers:
            violations += member.violations(headers[key])
    refuse(violations)


@lru_cache(maxsize=256)  # of few models, thousands of times
def _violations_of_id(model_id: str) -> tuple[str, ...]:
    return tuple(MODEL_ID.violations(model_id))


def refuse(violations: Sequence[str]) -> None:
    """Raises `ValidationException` that says them all, unless there are none."""
    if violations:
        errors = "error" if len(violations) == 1 else "errors"
        raise ValidationException(
            f"{len(violations)} validation {errors} detected: {'; '.join(violations)}"
        )


MOST = 16
# botocore's service model, shape RequestMetadata.
LONGEST = 256
CHARACTERS = r"[a-zA-Z0-9\s:_@$#=/+,-.]"
KEY = CHARACTERS + "{1,256}"
VALUE = CHARACTERS + "{0,256}"


def check_metadata(header: str) -> None:
    """Raises `ValidationException`. Coral's words for maps; that they apply here is a guess."""
    try:
        metadata = orjson.loads(header)
    except orjson.JSONDecodeError:
        metadata = None
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ValidationException("The request metadata must be a JSON object of strings.")
    refuse(list(_violations(metadata)))


def _violations(metadata: dict[str, str]) -> Iterator[str]:
    said = "Value at 'requestMetadata' failed to satisfy constraint:"
    if len(metadata) > MOST:
        yield f"{said} Member must have length less than or equal to {MOST}"
    if not metadata:
        yield f"{said} Member must have length greater than or equal to 1"
    for part, pattern, shortest, texts in (
        ("key", KEY, 1, metadata.keys()),
        ("value", VALUE, 0, metadata.values()),
    ):
        if not all(re.fullmatch(pattern, text) for text in texts):
            yield (
                f"{said} Map {part} must satisfy constraint: [Member must have length less than or"
                f" equal to {LONGEST}, Member must have length greater than or equal to {shortest},"
                f" Member must satisfy regular expression pattern: {pattern}]"
            )


# None at all, as boto3 sends; what other SDKs put there of their own; and the truth. Anything
# else, a charset included, was seen to be refused.
CONTENT_TYPES = frozenset({"", "application/json", "application/octet-stream", "*/*"})
ACCEPTED = frozenset({"", "application/json", "application/octet-stream", "*/*", "application/*"})


def check_content_type(value: str) -> None:
    if value.strip().lower() not in CONTENT_TYPES:
        raise ValidationException(
            "The provided Content Type is invalid or not supported for this model"
        )


def check_accept(value: str) -> None:
    """A list passes if one of its ranges does: guess."""
    ranges = (part.partition(";")[0].strip().lower() for part in value.split(","))
    if not any(part in ACCEPTED for part in ranges):
        raise ValidationException(
            "The provided Accept Type is invalid or not supported for this model"
        )
