"""Which Content-Type and Accept pass: the body is JSON, and so is the answer, whatever they say."""

from invoke_api.wire.errors import ValidationException

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
    if value in ACCEPTED:
        return
    ranges = (part.partition(";")[0].strip().lower() for part in value.split(","))
    if not any(part in ACCEPTED for part in ranges):
        raise ValidationException(
            "The provided Accept Type is invalid or not supported for this model"
        )
