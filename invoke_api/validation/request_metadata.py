"""The request metadata, a JSON object in a header: tags that a caller finds its calls by."""

import re
from collections.abc import Iterator

import orjson

from invoke_api.validation.constraints import refuse
from invoke_api.wire.errors import ValidationException

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
