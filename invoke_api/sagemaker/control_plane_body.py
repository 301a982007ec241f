"""Bodies of SageMaker's control plane, with the checks of AWS's service framework. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from invoke_api.validation.coral import misread
from invoke_api.wire.errors import SerializationException, ValidationException
from invoke_api.wire.json_text import read_json

NAME = re.compile("[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


def read_members(body: bytes, required: Mapping[str, str]) -> dict[str, Any]:
    """Return the request. Raises `SerializationException` and `ValidationException`."""
    try:
        asked = read_json(body or b"{}")
    except ValueError:
        raise SerializationException from None
    if not isinstance(asked, dict):
        raise SerializationException(misread(asked, "object"))
    for member, kind in required.items():
        value, place = asked.get(member), f"{member[0].lower()}{member[1:]}"
        if kind == "string" or value is None:
            check_name(value, place)
        elif not isinstance(value, list):
            raise SerializationException(misread(value, kind))
        elif not value:
            raise _violation("'[]'", place, "have length greater than or equal to 1")
    return asked


def check_name(value: Any, place: str) -> None:  # noqa: ANN401 - any JSON
    """Raise `SerializationException` or `ValidationException` if a value is no resource's name."""
    if value is None:
        raise _violation("null", place, "not be null")
    if not isinstance(value, str):
        raise SerializationException(misread(value, "string"))
    if not NAME.fullmatch(value):
        pattern = f"satisfy regular expression pattern: {NAME.pattern}"
        raise _violation(f"'{value[:100]}'", place, pattern)


def _violation(value: str, place: str, rule: str) -> ValidationException:
    return ValidationException(
        f"1 validation error detected: Value {value} at '{place}' failed to satisfy constraint:"
        f" Member must {rule}"
    )
