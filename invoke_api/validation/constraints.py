"""The service model's constraints on the path and the headers of a request.

Coral, AWS's service framework, reports all violations in one message.
`tests/validation/test_constraints.py` compares this table with botocore's service model.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import orjson

from invoke_api.wire.errors import ValidationException


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One constrained member of a request. `header` is None for a member in the path or query.

    `minimum` and `maximum` bound its length in characters.
    """

    name: str
    header: str | None = None
    enum: tuple[str, ...] = ()
    pattern: str = ""
    minimum: int = 0
    maximum: int | None = None
    is_sensitive: bool = False  # Coral's message leaves out a sensitive value

    def violations(self, value: str) -> Iterator[str]:
        """Yield Coral's messages; recorded: pattern before length."""
        shown = "" if self.is_sensitive else f" '{value}'"
        said = f"Value{shown} at '{self.name}' failed to satisfy constraint: Member must"
        if self.enum and value not in self.enum:
            yield f"{said} satisfy enum value set: [{', '.join(self.enum)}]"
        if self.pattern and not re.fullmatch(self.pattern, value):
            yield f"{said} satisfy regular expression pattern: {self.pattern}"
        if self.maximum is not None and len(value) > self.maximum:
            yield f"{said} have length less than or equal to {self.maximum}"
        if len(value) < self.minimum:
            yield f"{said} have length greater than or equal to {self.minimum}"


ARN_PREFIX = "arn:aws(-[^:]+)?:bedrock:"
ACCOUNT_ID = "[0-9]{12}"
MODEL_ID_PATTERN = (
    f"({ARN_PREFIX}[a-z0-9-]{{1,20}}:(({ACCOUNT_ID}:custom-model/[a-z0-9-]{{1,63}}[.]{{1}}"
    "[a-z0-9-]{1,63}/[a-z0-9]{12})|(:foundation-model/[a-z0-9-]{1,63}[.]{1}[a-z0-9-]{1,63}"
    "([.:]?[a-z0-9-]{1,63}))"
    f"|({ACCOUNT_ID}:imported-model/[a-z0-9]{{12}})|({ACCOUNT_ID}:provisioned-model/[a-z0-9]{{12}})"
    f"|({ACCOUNT_ID}:custom-model-deployment/[a-z0-9]{{12}})"
    f"|({ACCOUNT_ID}:(inference-profile|application-inference-profile)/[a-zA-Z0-9-:.]+)))"
    "|([a-z0-9-]{1,63}[.]{1}[a-z0-9-]{1,63}([.:]?[a-z0-9-]{1,63}))|(([0-9a-zA-Z][_-]?)+)"
    "|([a-zA-Z0-9-:.]+)$"
    f"|(^({ARN_PREFIX}[a-z0-9-]{{1,20}}:{ACCOUNT_ID}:prompt/[0-9a-zA-Z]{{10}}(?::[0-9]{{1,5}})?))$"
    f"|(^arn:aws:sagemaker:[a-z0-9-]+:{ACCOUNT_ID}:endpoint/[a-zA-Z0-9-]+$)"
    f"|(^{ARN_PREFIX}([0-9a-z-]{{1,20}}):({ACCOUNT_ID}):(default-)?prompt-router/[a-zA-Z0-9-:.]+$)"
)

# No patterns for a guardrail's identifier and version: Bedrock has messages of its own for those,
# see `guardrails/guardrail.py`.
MEMBERS = (
    Member(name="modelId", pattern=MODEL_ID_PATTERN, minimum=1, maximum=2048),
    Member(
        name="trace",
        header="X-Amzn-Bedrock-Trace",
        enum=("ENABLED", "DISABLED", "ENABLED_FULL"),
    ),
    Member(
        name="guardrailIdentifier",
        header="X-Amzn-Bedrock-GuardrailIdentifier",
        maximum=2048,
    ),
    Member(name="guardrailVersion", header="X-Amzn-Bedrock-GuardrailVersion"),
    Member(
        name="performanceConfigLatency",
        header="X-Amzn-Bedrock-PerformanceConfig-Latency",
        enum=("standard", "optimized"),
    ),
    # In the service model since November 2026. Guess: any project is accepted and has no effect.
    Member(
        name="projectIdentifier",
        header="X-Amzn-Bedrock-ProjectIdentifier",
        pattern="([a-zA-Z0-9_-]+|arn:aws(|-us-gov|-cn|-iso|-iso-b|-iso-f|-eusc):bedrock:"
        f"[0-9a-z-]{{1,20}}:{ACCOUNT_ID}:project/[a-zA-Z0-9_-]+)",
        minimum=1,
        maximum=2048,
    ),
    Member(
        name="requestMetadata",
        header="X-Amzn-Bedrock-Request-Metadata",
        maximum=8500,
        is_sensitive=True,
    ),
)
MODEL_ID_MEMBER = MEMBERS[0]
MEMBERS_BY_HEADER = tuple((member.header.lower(), member) for member in MEMBERS if member.header)

# botocore's service model, shape RequestMetadata.
MAX_METADATA_ENTRIES = 16
MAX_METADATA_CHARACTERS = 256  # of a key and of a value
METADATA_CHARACTER = r"[a-zA-Z0-9\s:_@$#=/+,-.]"
METADATA_KEY = METADATA_CHARACTER + "{1,256}"
METADATA_VALUE = METADATA_CHARACTER + "{0,256}"

# boto3 sends none; other SDKs send these by default. Recorded: other values are refused, also a
# charset.
CONTENT_TYPES = frozenset({"", "application/json", "application/octet-stream", "*/*"})
ACCEPT_RANGES = frozenset(
    {"", "application/json", "application/octet-stream", "*/*", "application/*"}
)


def check_members(model_id: str, headers: Mapping[str, str]) -> None:
    """Raise `ValidationException` with all violations. Header names are in lower case."""
    violations = [*_violations_of_id(model_id)]
    for key, member in MEMBERS_BY_HEADER:
        if key in headers:
            violations += member.violations(headers[key])
    raise_violations(violations)


@lru_cache(maxsize=256)  # clients call few models, thousands of times
def _violations_of_id(model_id: str) -> tuple[str, ...]:
    return tuple(MODEL_ID_MEMBER.violations(model_id))


def raise_violations(violations: Sequence[str]) -> None:
    """Raise `ValidationException` with all violations, if there are any."""
    if violations:
        errors = "error" if len(violations) == 1 else "errors"
        raise ValidationException(
            f"{len(violations)} validation {errors} detected: {'; '.join(violations)}"
        )


def check_metadata(header: str) -> None:
    """Raise `ValidationException` for invalid request metadata.

    Guess: the messages are those that Coral has for maps.
    """
    try:
        metadata = orjson.loads(header)
    except orjson.JSONDecodeError:
        metadata = None
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ValidationException("The request metadata must be a JSON object of strings.")
    raise_violations(list(_violations(metadata)))


def _violations(metadata: dict[str, str]) -> Iterator[str]:
    said = "Value at 'requestMetadata' failed to satisfy constraint:"
    if len(metadata) > MAX_METADATA_ENTRIES:
        yield f"{said} Member must have length less than or equal to {MAX_METADATA_ENTRIES}"
    if not metadata:
        yield f"{said} Member must have length greater than or equal to 1"
    for part, pattern, minimum, texts in (
        ("key", METADATA_KEY, 1, metadata.keys()),
        ("value", METADATA_VALUE, 0, metadata.values()),
    ):
        if not all(re.fullmatch(pattern, text) for text in texts):
            yield (
                f"{said} Map {part} must satisfy constraint: [Member must have length less than or"
                f" equal to {MAX_METADATA_CHARACTERS}, Member must have length greater than or"
                f" equal to {minimum}, Member must satisfy regular expression pattern: {pattern}]"
            )


def check_content_type(value: str) -> None:
    """Raise `ValidationException` for any other media type than JSON or the SDKs' defaults."""
    if value.strip().lower() not in CONTENT_TYPES:
        raise ValidationException(
            "The provided Content Type is invalid or not supported for this model"
        )


def check_accept(value: str) -> None:
    """Raise `ValidationException` unless JSON is accepted.

    Guess: one accepted range in a list is enough.
    """
    if value in ACCEPT_RANGES:
        return
    ranges = (part.partition(";")[0].strip().lower() for part in value.split(","))
    if not any(part in ACCEPT_RANGES for part in ranges):
        raise ValidationException(
            "The provided Accept Type is invalid or not supported for this model"
        )
