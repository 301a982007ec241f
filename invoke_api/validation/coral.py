"""What Coral, AWS's service framework, says to a body that is not as the service model has it.

First what can't be read at all, one mistake at a time; then all constraints in one sentence. A
union that has not exactly one member is Bedrock's own business, which has words of its own for it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from operator import attrgetter
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from invoke_api.validation.everit_errors import MOST_VIOLATIONS
from invoke_api.validation.json_document import NotJson, parse_json
from invoke_api.validation.org_json import shorten
from invoke_api.validation.schema import Validator
from invoke_api.wire.errors import SerializationException, ValidationException

# Java's JSON parser, by the type that stands there. Guess: heard of other services of AWS.
FOUND = {str: "STRING_VALUE", bool: "{value}_VALUE", int: "NUMBER_VALUE", type(None): "NULL_VALUE"}
WANTED = {
    "string": "a String",
    "integer": "an Integer",
    "number": "a Float",
    "boolean": "a Boolean",
    "array": "a List",
    "object": "a Map",
}
STRUCTURE = "Start of structure or map found where not expected."
LIST = "Start of list found where not expected."


class CoralSchema:
    """The body of one operation, by a JSON Schema made of its input shape.

    `tests/validation/test_coral.py` makes them anew of botocore's service models, and compares.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        lenient = extend(Validator, {"type": _check_type})  # type: ignore[no-untyped-call]  # typeshed lacks it
        self._schema = document
        self._validator: Draft202012Validator = lenient(document)

    def parse(self, body: bytes) -> dict[str, Any]:
        """The body, without members that are null or unknown, as Coral reads them.

        Raises `SerializationException`, `ValidationException`.
        """
        try:
            value = known(parse_json(body or b"{}"), self._schema)
        except NotJson as error:
            raise SerializationException from error
        errors: list[ValidationError] = []
        for found in self._validator.iter_errors(value):
            if found.validator == "type":
                raise SerializationException(_misread(found))
            if len(errors) < MOST_VIOLATIONS:
                errors.append(found)
        if unions := [error for error in errors if error.validator in UNION]:
            raise ValidationException(_name_keys(unions[0]))
        if violations := list(_violations(errors)):
            many = "error" if len(violations) == 1 else "errors"
            said = "; ".join(violations)
            raise ValidationException(f"{len(violations)} validation {many} detected: {said}")
        read: dict[str, Any] = value
        return read


def known(value: Any, schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON
    """The same without the members that are null or unknown: to Coral they are not there.

    But for those in a document, which has no schema and may have any value.
    """
    if isinstance(value, dict) and "properties" in schema:
        members = schema["properties"]
        return {
            key: known(inner, members[key])
            for key, inner in value.items()
            if inner is not None and key in members
        }
    if isinstance(value, list) and "items" in schema:
        return [known(inner, schema["items"]) for inner in value if inner is not None]
    return value


def _check_type(
    validator: Draft202012Validator,
    wanted: str,
    instance: Any,  # noqa: ANN401 - any JSON
    schema: Mapping[str, Any],  # noqa: ARG001 - jsonschema's signature
) -> Iterator[ValidationError]:
    if not validator.is_type(instance, wanted):
        yield ValidationError("type")


def _misread(error: Any) -> str:  # noqa: ANN401 - jsonschema types what it may lack
    value = error.instance
    if isinstance(value, dict):
        return STRUCTURE
    if isinstance(value, list):
        return LIST
    found = FOUND.get(type(value), "NUMBER_VALUE").format(value=shorten(str(value)).upper())
    return f"{found} can not be converted to {WANTED[error.validator_value]}"


UNION = ("minProperties", "maxProperties")


def _name_keys(error: Any) -> str:  # noqa: ANN401 - the same
    """Of a union; maps of other kinds have no title. Heard of ContentBlock."""
    if "title" not in error.schema:
        return next(iter(_violations([error])))
    where = ".".join(map(str, error.absolute_path))
    keys = ", ".join(error.schema["properties"])
    name = error.schema["title"]
    return f"{name} object at {where} must set one of the following keys: {keys}."


def _violations(errors: Iterable[Any]) -> Iterator[str]:
    """Yield a sentence for each constraint: since 2026 with the path and without the value."""
    told: Counter[str] = Counter()  # of what is missing: there is an error for each
    for error in _patterns_first(errors):
        if error.validator == "required":
            missing = [name for name in error.validator_value if name not in error.instance]
            where = _path(error.absolute_path)
            path = [*error.absolute_path, missing[told[where]]]
            told[where] += 1
            yield f"Value at '{_path(path)}' {FAILED} not be null"
        elif error.validator in WORDS:
            words = WORDS[error.validator](error.validator_value)
            yield f"Value at '{_path(error.absolute_path)}' {FAILED} {words}"


def _patterns_first(errors: Iterable[Any]) -> Iterator[Any]:
    """Put the pattern before the length of one value: heard of the name of a tool."""
    for _, of_one in groupby(errors, key=attrgetter("absolute_path")):
        yield from sorted(of_one, key=lambda error: error.validator != "pattern")


FAILED = "failed to satisfy constraint: Member must"
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


def _path(steps: Iterable[str | int]) -> str:
    """Coral counts from 1, and calls what stands in a list a member."""
    return ".".join(f"{step + 1}.member" if isinstance(step, int) else step for step in steps)
