"""Validation of bodies against a model's JSON Schema, which also supplies default values."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import chain
from math import isfinite
from typing import Any

from jsonschema import Draft202012Validator, SchemaError, TypeChecker, ValidationError
from jsonschema.validators import extend

from invoke_api.validation.everit_errors import malformed
from invoke_api.validation.java_values import BigInteger
from invoke_api.validation.json_document import NotJson, parse_json
from invoke_api.wire.errors import ValidationException

Check = Callable[[Any], bool]

NOT_JSON = "Malformed input request, please reformat your input and try again."
NUMBER_TYPES = (int, Decimal, BigInteger)

SIMPLE_SCHEMA_KEYWORDS = {
    *("$schema", "title", "description", "type"),
    *("required", "properties", "additionalProperties"),
}
SIMPLE_MEMBER_KEYWORDS = {
    "type",
    "minimum",
    "maximum",
    "maxItems",
    "items",
    "default",
    "title",
    "description",
}
PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, Decimal),
}


def is_integer(_: TypeChecker, value: object) -> bool:
    """Tell whether Bedrock takes the value as an integer; `5.0` is none, unlike in JSON Schema."""
    return type(value) in (int, BigInteger)  # not bool, a subclass of int


def is_number(_: TypeChecker, value: object) -> bool:
    """Tell whether the value is a finite number; YAML, unlike JSON, has NaN and infinity."""
    return type(value) in NUMBER_TYPES or (isinstance(value, float) and isfinite(value))


Validator: type[Draft202012Validator] = extend(  # type: ignore[no-untyped-call]  # typeshed lacks it
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": is_integer, "number": is_number}
    ),
)


class _Properties:
    """The keyword `properties` with each subschema compiled once, unlike in jsonschema."""

    def __init__(self) -> None:
        self._compiled: dict[int, Any] = {}  # by the subschema's id()

    def check(
        self,
        validator: Draft202012Validator,
        properties: Mapping[str, Any],
        instance: Any,  # noqa: ANN401 - any JSON
        _: object,
    ) -> Iterator[ValidationError]:
        if not validator.is_type(instance, "object"):
            return
        for name, schema in properties.items():
            if name not in instance:
                continue
            if id(schema) not in self._compiled:
                self._compiled[id(schema)] = validator.evolve(schema=schema)
            for error in self._compiled[id(schema)].iter_errors(instance[name]):
                error.path.appendleft(name)
                yield error


def read_body(body: bytes) -> Any:  # noqa: ANN401 - any JSON
    """Return the value of a body's JSON. Raises `ValidationException`."""
    try:
        return parse_json(body)
    except NotJson:
        raise ValidationException(NOT_JSON) from None


def find_schema_error(schema: object) -> str | None:
    """Return why a client's JSON Schema is invalid, or None."""
    try:
        Draft202012Validator.check_schema(schema)  # type: ignore[arg-type]  # it checks the type, too
    except SchemaError as error:
        return error.message
    except RecursionError:
        return "it is nested too deeply"
    return None


class BodySchema:
    """The schema of one model's request bodies."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        """Compile a JSON Schema. Raises jsonschema's `SchemaError` if it is invalid."""
        Validator.check_schema(document)
        self.document = document
        quick = extend(Validator, {"properties": _Properties().check})  # type: ignore[no-untyped-call]  # as above
        self._validator = quick(document)
        self._is_right = compile_quick(document)
        self._keys = frozenset(document["properties"])
        self._defaults = {
            key: schema["default"]
            for key, schema in document["properties"].items()
            if isinstance(schema, dict) and "default" in schema
        }

    def parse(self, body: bytes) -> dict[str, Any]:
        """Return the value of a body, with defaults. Raises `ValidationException`.

        Numbers that are written with a point or an exponent become `Decimal`s.
        """
        return self.fill(self.read(body))

    def knows(self, key: str) -> bool:
        """Tell whether a body may have this key."""
        return key in self._keys

    def read(self, body: bytes) -> Any:  # noqa: ANN401 - any JSON
        """Return the value of a body's JSON, unchecked. Raises `ValidationException`."""
        return read_body(body)

    def fill(
        self,
        value: Any,  # noqa: ANN401 - any JSON
        word: Callable[[Iterable[ValidationError]], str] = malformed,
    ) -> dict[str, Any]:
        """Return a body's value with defaults, which also replace nulls.

        Raises `ValidationException` with the message that `word` makes of the violations.
        """
        try:
            said = None if self._is_right(value) else self._word(value, word)
        except RecursionError:  # jsonschema's message shows the value, at any depth
            raise ValidationException(NOT_JSON) from None
        if said:
            raise ValidationException(said)
        return self._defaults | {key: each for key, each in value.items() if each is not None}

    def _word(self, value: Any, word: Callable[[Iterable[ValidationError]], str]) -> str | None:  # noqa: ANN401 - any JSON
        errors = self._validator.iter_errors(value)
        first = next(errors, None)
        return None if first is None else word(chain((first,), errors))


def compile_quick(schema: Mapping[str, Any]) -> Check:
    """Return a fast check: True means that a body is valid, False that the full check must decide.

    For any but simple schemas the check always returns False.
    """
    properties = schema.get("properties", {})
    checks = {name: _compile(part) for name, part in properties.items()}
    is_simple = set(schema) <= SIMPLE_SCHEMA_KEYWORDS and all(checks.values())
    is_closed = schema.get("additionalProperties") is False
    if not is_simple or not is_closed or schema.get("type", "object") != "object":
        return lambda _: False
    required = set(schema.get("required", ()))

    def is_right(body: Any) -> bool:  # noqa: ANN401 - any JSON
        if type(body) is not dict or not required <= body.keys():
            return False
        for name, value in body.items():
            check = checks.get(name)
            if check is None or not check(value):
                return False
        return True

    return is_right


def _compile(part: Any) -> Check | None:  # noqa: ANN401 - any JSON Schema
    if not isinstance(part, dict) or not set(part) <= SIMPLE_MEMBER_KEYWORDS:
        return None
    kind = part.get("type")
    if kind == "array":
        return _compile_array(part)
    if not isinstance(kind, str) or kind not in PYTHON_TYPES or {"items", "maxItems"} & set(part):
        return None
    types = PYTHON_TYPES[kind]
    lowest, highest = part.get("minimum"), part.get("maximum")
    if kind == "string" or lowest is None or highest is None:
        is_bounded = lowest is not None or highest is not None
        return None if is_bounded else lambda value: type(value) in types
    return lambda value: type(value) in types and lowest <= value <= highest


def _compile_array(part: Mapping[str, Any]) -> Check | None:
    if part.get("items") != {"type": "string"} or {"minimum", "maximum"} & set(part):
        return None
    most = part.get("maxItems", float("inf"))
    return lambda value: (
        type(value) is list and len(value) <= most and all(type(item) is str for item in value)
    )
