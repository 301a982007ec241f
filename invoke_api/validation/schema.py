"""A model's JSON Schema, compiled: checks a body, words what is wrong, fills in the defaults."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

import orjson
from jsonschema import Draft202012Validator, TypeChecker
from jsonschema.validators import extend

from invoke_api.validation.wording import describe
from invoke_api.wire.errors import ValidationException

NOT_JSON = "Malformed input request, please reformat your input and try again."


def is_integer(_: TypeChecker, value: object) -> bool:
    """Java's JSON reader calls `5.0` a BigDecimal, JSON Schema an integer; Bedrock is Java."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(_: TypeChecker, value: object) -> bool:
    """JSON has no NaN and no infinity; YAML has."""
    return is_integer(_, value) or (isinstance(value, float) and isfinite(value))


Validator: type[Draft202012Validator] = extend(  # type: ignore[no-untyped-call]  # typeshed lacks it
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": is_integer, "number": is_number}
    ),
)


class BodySchema:
    """The schema of one model's request bodies. Raises jsonschema's `SchemaError` if it is none."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        Validator.check_schema(document)
        self._validator = Validator(document)
        self._defaults = {
            key: schema["default"]
            for key, schema in document["properties"].items()
            if "default" in schema
        }

    def parse(self, body: bytes) -> dict[str, Any]:
        """The body with its defaults filled in. Raises `ValidationException` in Bedrock's words."""
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise ValidationException(NOT_JSON) from None
        violations = [
            text for error in self._validator.iter_errors(value) for text in describe(error)
        ]
        if violations:
            raise ValidationException(
                f"Malformed input request: {''.join(violations)},"
                " please reformat your input and try again."
            )
        filled: dict[str, Any] = self._defaults | value
        return filled
