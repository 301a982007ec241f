"""Validation of bodies against the service model, as Coral, AWS's service framework, does it.

Coral reports the first value of a wrong type, or else all violated constraints in one message.
Bedrock itself reports a union without exactly one member.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from operator import attrgetter
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from invoke_api.validation.constraints import raise_violations
from invoke_api.validation.everit_errors import MAX_VIOLATIONS
from invoke_api.validation.json_document import NotJson, parse_json
from invoke_api.validation.org_json import shorten
from invoke_api.validation.schema import Validator
from invoke_api.wire.errors import SerializationException, ValidationException

# Names of tokens in Java's JSON parser. Guess: recorded of other AWS services.
FOUND_TOKENS = {
    str: "STRING_VALUE",
    bool: "{value}_VALUE",
    int: "NUMBER_VALUE",
    type(None): "NULL_VALUE",
}
EXPECTED_TYPES = {
    "string": "a String",
    "integer": "an Integer",
    "number": "a Float",
    "boolean": "a Boolean",
    "array": "a List",
    "object": "a Map",
}
UNEXPECTED_STRUCTURE = "Start of structure or map found where not expected."
UNEXPECTED_LIST = "Start of list found where not expected."

UNION_KEYWORDS = ("minProperties", "maxProperties")

CONSTRAINT_FAILED = "failed to satisfy constraint: Member must"
AT_LEAST = "have length greater than or equal to {}"
AT_MOST = "have length less than or equal to {}"
WORDS: dict[str, Callable[[Any], str]] = {
    "enum": lambda values: f"satisfy enum value set: [{', '.join(values)}]",
    "pattern": lambda pattern: f"satisfy regular expression pattern: {pattern[2:-2]}",  # ^(...)$
    "minimum": lambda lowest: f"have value greater than or equal to {lowest}",
    "maximum": lambda highest: f"have value less than or equal to {highest}",
    **dict.fromkeys(("minLength", "minItems", "minProperties"), AT_LEAST.format),
    **dict.fromkeys(("maxLength", "maxItems", "maxProperties"), AT_MOST.format),
}


class CoralSchema:
    """The check of one operation's bodies, by a JSON Schema made from its input shape.

    `tests/validation/test_coral.py` makes the schemas from botocore's service models and compares.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        lenient = extend(Validator, {"type": _check_type})  # type: ignore[no-untyped-call]  # typeshed lacks it
        self._schema = document
        self._validator: Draft202012Validator = lenient(document)

    def parse(self, body: bytes) -> dict[str, Any]:
        """Return the value of a body, without members that are null or unknown.

        Raises `SerializationException` and `ValidationException`.
        """
        try:
            value = drop_unknown(parse_json(body or b"{}"), self._schema)
        except NotJson as error:
            raise SerializationException from error
        errors: list[ValidationError] = []
        for found in self._validator.iter_errors(value):
            if found.validator == "type":
                raise SerializationException(_misread(found))
            if len(errors) < MAX_VIOLATIONS:
                errors.append(found)
        if unions := [error for error in errors if error.validator in UNION_KEYWORDS]:
            raise ValidationException(_name_keys(unions[0]))
        raise_violations(list(_violations(errors)))
        read: dict[str, Any] = value
        return read


def drop_unknown(value: Any, schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON
    """Return the value without members that are null or unknown, which Coral ignores.

    A document, which has no schema, keeps all of its members.
    """
    if isinstance(value, dict) and "properties" in schema:
        members = schema["properties"]
        return {
            key: drop_unknown(inner, members[key])
            for key, inner in value.items()
            if inner is not None and key in members
        }
    if isinstance(value, list) and "items" in schema:
        return [drop_unknown(inner, schema["items"]) for inner in value if inner is not None]
    return value


def _check_type(
    validator: Draft202012Validator,
    wanted: str,
    instance: Any,  # noqa: ANN401 - any JSON
    schema: Mapping[str, Any],  # noqa: ARG001 - jsonschema's signature
) -> Iterator[ValidationError]:
    if not validator.is_type(instance, wanted):
        yield ValidationError("type")


def _misread(error: Any) -> str:  # noqa: ANN401 - jsonschema's optional members
    return misread(error.instance, error.validator_value)


def misread(value: Any, wanted: str) -> str:  # noqa: ANN401 - any JSON
    """Return the message about a value that has another type than the one `wanted`."""
    if isinstance(value, dict):
        return UNEXPECTED_STRUCTURE
    if isinstance(value, list):
        return UNEXPECTED_LIST
    found = FOUND_TOKENS.get(type(value), "NUMBER_VALUE").format(value=shorten(str(value)).upper())
    return f"{found} can not be converted to {EXPECTED_TYPES[wanted]}"


def _name_keys(error: Any) -> str:  # noqa: ANN401 - see above
    """Return the message for a union, recorded of ContentBlock. Other maps have no title."""
    if "title" not in error.schema:
        return next(iter(_violations([error])))
    where = ".".join(map(str, error.absolute_path))
    keys = ", ".join(error.schema["properties"])
    name = error.schema["title"]
    return f"{name} object at {where} must set one of the following keys: {keys}."


def _violations(errors: Iterable[Any]) -> Iterator[str]:
    """Yield a message for each constraint: since 2026 with the path and without the value."""
    reported: Counter[str] = Counter()  # missing members by path; jsonschema has an error for each
    for error in _patterns_first(errors):
        if error.validator == "required":
            missing = [name for name in error.validator_value if name not in error.instance]
            where = _path(error.absolute_path)
            path = [*error.absolute_path, missing[reported[where]]]
            reported[where] += 1
            yield f"Value at '{_path(path)}' {CONSTRAINT_FAILED} not be null"
        elif error.validator in WORDS:
            words = WORDS[error.validator](error.validator_value)
            yield f"Value at '{_path(error.absolute_path)}' {CONSTRAINT_FAILED} {words}"


def _patterns_first(errors: Iterable[Any]) -> Iterator[Any]:
    """Yield the errors, for each value the pattern first: recorded of a tool's name."""
    for _, of_one in groupby(errors, key=attrgetter("absolute_path")):
        yield from sorted(of_one, key=lambda error: error.validator != "pattern")


def _path(steps: Iterable[str | int]) -> str:
    """Return Coral's path: it counts from 1 and calls an item of a list `member`."""
    return ".".join(f"{step + 1}.member" if isinstance(step, int) else step for step in steps)
