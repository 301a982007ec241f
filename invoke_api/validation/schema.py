"""A model's JSON Schema, compiled: checks a body, words what is wrong, fills in the defaults."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import chain
from math import isfinite
from typing import Any

from jsonschema import Draft202012Validator, TypeChecker, ValidationError
from jsonschema.validators import extend

from invoke_api.validation.everit_errors import malformed
from invoke_api.validation.java_values import BigInteger
from invoke_api.validation.json_document import NotJson, parse_json
from invoke_api.wire.errors import ValidationException

NOT_JSON = "Malformed input request, please reformat your input and try again."
NUMBERS = (int, Decimal, BigInteger)


def is_integer(_: TypeChecker, value: object) -> bool:
    """Java's JSON reader calls `5.0` a BigDecimal, JSON Schema an integer; Bedrock is Java."""
    return type(value) in (int, BigInteger)  # no bool, which is an int too


def is_number(_: TypeChecker, value: object) -> bool:
    """JSON has no NaN and no infinity; YAML has."""
    return type(value) in NUMBERS or (isinstance(value, float) and isfinite(value))


Validator: type[Draft202012Validator] = extend(  # type: ignore[no-untyped-call]  # typeshed lacks it
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": is_integer, "number": is_number}
    ),
)


class _Properties:
    """The keyword `properties` with each subschema compiled once; jsonschema does it every time."""

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
    """Return the value of a body's JSON. Raises `ValidationException` for no JSON."""
    try:
        return parse_json(body)
    except NotJson:
        raise ValidationException(NOT_JSON) from None


class BodySchema:
    """The schema of one model's request bodies. Raises jsonschema's `SchemaError` if it is none."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        Validator.check_schema(document)
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
        """The body with its defaults filled in. Raises `ValidationException` in everit's words.

        Numbers that are written with a point or an exponent are `Decimal`s.
        """
        return self.fill(self.read(body))

    def knows(self, key: str) -> bool:
        """Tell whether a body may have this key."""
        return key in self._keys

    def read(self, body: bytes) -> Any:  # noqa: ANN401 - any JSON
        """The body, of which nothing is checked yet. Raises `ValidationException` for no JSON."""
        return read_body(body)

    def fill(
        self,
        value: Any,  # noqa: ANN401 - any JSON
        word: Callable[[Iterable[ValidationError]], str] = malformed,
    ) -> dict[str, Any]:
        """A body that is read already, with its defaults, also in the place of a null.

        Raises `ValidationException` with what `word` makes of the violations.
        """
        try:
            said = None if self._is_right(value) else self._word(value, word)
        except RecursionError:  # jsonschema shows the value in its message, at any depth
            raise ValidationException(NOT_JSON) from None
        if said:
            raise ValidationException(said)
        return self._defaults | {key: each for key, each in value.items() if each is not None}

    def _word(self, value: Any, word: Callable[[Iterable[ValidationError]], str]) -> str | None:  # noqa: ANN401 - any JSON
        errors = self._validator.iter_errors(value)
        first = next(errors, None)
        return None if first is None else word(chain((first,), errors))


Check = Callable[[Any], bool]

SIMPLE = {
    *("$schema", "title", "description", "type"),
    *("required", "properties", "additionalProperties"),
}
KNOWN = {"type", "minimum", "maximum", "maxItems", "items", "default", "title", "description"}
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, Decimal),
}


def compile_quick(schema: Mapping[str, Any]) -> Check:
    """A function that says yes, or does not know. Knows the simple ones among schemas only."""
    properties = schema.get("properties", {})
    checks = {name: _compile(part) for name, part in properties.items()}
    is_simple = set(schema) <= SIMPLE and all(checks.values())
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
    if not isinstance(part, dict) or not set(part) <= KNOWN:
        return None
    kind = part.get("type")
    if kind == "array":
        return _compile_array(part)
    if not isinstance(kind, str) or kind not in TYPES or {"items", "maxItems"} & set(part):
        return None
    types = TYPES[kind]
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
