"""Instances of JSON Schemas, made without a model, for the scripted engine."""

import re
from collections.abc import Callable, Iterator, Mapping
from math import inf, isinf
from typing import Any

from jsonschema import Draft202012Validator, SchemaError, ValidationError
from jsonschema.exceptions import UnknownType, best_match
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from engine.errors import SchemaRefused

# Strings by their formats (JSON Schema, draft 2020-12, validation 7.3).
FORMAT_EXAMPLES = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "nobody@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
# Beyond either of these, optional parts are left out.
SOFT_MAX_DEPTH = 24
SOFT_MAX_VALUES = 1_000
MAX_VALUES = 20_000  # values made, and likewise checks of them
MAX_LENGTH = 10_000  # of a string or list
NO_INSTANCE = "No instance of the JSON schema can be made without a model"
SCHEMA_ERRORS = (
    *(RecursionError, Unresolvable, UnknownType, re.error),
    *(LookupError, TypeError, ValueError, AttributeError, ArithmeticError),
)


def make_instance(schema: Any, words: str) -> Any:  # noqa: ANN401 - any JSON
    """Make an instance with all properties that the schema names, and `words` in its strings.

    Raises `SchemaRefused` for an invalid schema, and if no instance is easy to find.
    """
    try:
        Draft202012Validator.check_schema(schema)
        instance = _Maker(schema, words).make(schema, 0)
        # Without the empty registry, jsonschema fetches targets of a `$ref`, even files.
        error = best_match(_validator()(schema, registry=Registry()).iter_errors(instance))
    except SchemaError as wrong:
        raise SchemaRefused(f"Invalid JSON schema: {wrong.message}") from wrong
    except SCHEMA_ERRORS as wrong:
        raise SchemaRefused(f"{NO_INSTANCE}.") from wrong
    if error:
        raise SchemaRefused(f"{NO_INSTANCE}: {error.message}")
    return instance


def make_arguments(schema: Any, words: str) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Return the arguments of a call: an instance of the schema if one is easy to find.

    Otherwise return an object with the properties that the schema names, or an empty one.
    """
    try:
        made = make_instance(schema, words)
    except SchemaRefused:
        try:
            made = _Maker(schema, words).make(schema, 0)
        except (SchemaRefused, *SCHEMA_ERRORS):
            made = None
    return made if isinstance(made, dict) else {}


def _validator() -> type[Draft202012Validator]:
    """Return jsonschema's validator with a bound on its checks, which references may multiply."""
    left = iter(range(MAX_VALUES))

    def counted(check: Check) -> Check:
        def check_if_any_left(*arguments: Any) -> Iterator[ValidationError]:  # noqa: ANN401 - jsonschema's
            if next(left, None) is None:
                raise SchemaRefused(f"{NO_INSTANCE}: it has too many parts")
            yield from check(*arguments) or ()

        return check_if_any_left

    checks = {**Draft202012Validator.VALIDATORS, **PATTERNS}
    bounded: type[Draft202012Validator] = extend(  # type: ignore[no-untyped-call]  # typeshed lacks it
        Draft202012Validator, {keyword: counted(check) for keyword, check in checks.items()}
    )
    return bounded


def _refuse_pattern(*_: object) -> Iterator[ValidationError]:
    """Refuse a pattern: a client's pattern could take for ever to match."""
    yield ValidationError("it has a pattern")


def _refuse_patterns_beside(
    validator: Any,  # noqa: ANN401 - jsonschema's signature
    value: Any,  # noqa: ANN401
    instance: Any,  # noqa: ANN401
    schema: Any,  # noqa: ANN401
) -> Iterator[ValidationError]:
    """Check `additionalProperties`, for which jsonschema would match the patterns beside it."""
    if "patternProperties" in schema:
        yield from _refuse_pattern()
    else:
        check = Draft202012Validator.VALIDATORS["additionalProperties"]
        yield from check(validator, value, instance, schema) or ()


Check = Callable[..., Iterator[ValidationError] | None]
PATTERNS: dict[str, Check] = {
    "pattern": _refuse_pattern,
    "patternProperties": _refuse_pattern,
    "additionalProperties": _refuse_patterns_beside,
    "unevaluatedProperties": _refuse_pattern,  # jsonschema would match patterns for it
}


class _Maker:
    """A generator of instances of one schema."""

    def __init__(self, root: Any, words: str) -> None:  # noqa: ANN401 - any JSON
        self._root = root
        self._words = words
        self._made = 0
        self._place = 0  # the index in a list whose items must differ
        self._makers = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "integer": self._integer,
            "number": self._number,
            "boolean": lambda *_: self._place % 2 == 0,
            "null": lambda *_: None,
        }

    def make(self, schema: Any, depth: int) -> Any:  # noqa: ANN401 - any JSON
        self._made += 1
        if self._made > MAX_VALUES:
            raise SchemaRefused(f"{NO_INSTANCE}: it has too many parts")
        if not isinstance(schema, dict):
            return self._string({}, depth)
        if given := [schema["const"]] if "const" in schema else schema.get("enum"):
            return given[self._place % len(given)]
        nearer = self._simplify(schema, depth)
        if nearer is not None:
            return self.make(nearer, depth + 1)
        return self._makers[_kind(schema)](schema, depth)

    def _simplify(self, schema: dict[str, Any], depth: int) -> dict[str, Any] | None:
        """Resolve the first reference or combination of a schema; None if it has none."""
        if "$ref" in schema:
            return {**resolve(self._root, schema["$ref"]), **_without(schema, "$ref")}
        if "allOf" in schema:
            return _merge([_without(schema, "allOf"), *schema["allOf"]])
        for choice in ("anyOf", "oneOf"):
            if choice in schema:
                # The last choice ends a recursion: `null` usually stands there.
                picked = schema[choice][-1 if self._is_enough(depth) else 0]
                return {**_without(schema, choice), **picked}
        return None

    def _is_enough(self, depth: int) -> bool:
        return depth > SOFT_MAX_DEPTH or self._made > SOFT_MAX_VALUES

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        required = schema.get("required", [])
        properties = schema.get("properties", {})
        names = required if self._is_enough(depth) else [*properties, *required]
        return {name: self.make(properties.get(name, True), depth + 1) for name in names}

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        first = schema.get("prefixItems", [])
        least = max(len(first), schema.get("minItems", 0 if self._is_enough(depth) else 1))
        wanted = min(least, schema.get("maxItems", least), MAX_LENGTH)
        rest = schema.get("items", True)
        items = []
        for place in range(wanted):
            before, self._place = self._place, place if schema.get("uniqueItems") else self._place
            items.append(self.make(first[place] if place < len(first) else rest, depth + 1))
            self._place = before
        return items

    def _string(self, schema: Mapping[str, Any], _: int) -> str:
        words = f"{self._place + 1} {self._words}" if self._place else self._words
        text = FORMAT_EXAMPLES.get(schema.get("format", ""), words)
        text = text.ljust(min(schema.get("minLength", 0), MAX_LENGTH), ".")
        return text[: schema.get("maxLength", len(text))]

    def _integer(self, schema: Mapping[str, Any], _: int) -> float:
        """Return the least allowed integer from 1 up, or the largest one below."""
        step = schema.get("multipleOf", 1)
        least = max(schema.get("minimum", 1), schema.get("exclusiveMinimum", 0) + 1)
        most = min(schema.get("maximum", least), schema.get("exclusiveMaximum", least + 1) - 1)
        steps = -(-min(least, most) // step) + (self._place if most >= least else -self._place)
        number: float = steps * step
        return number

    def _number(self, schema: Mapping[str, Any], depth: int) -> float:
        """Return an integer, or the middle of two bounds that have no integer between them."""
        low = max(schema.get("minimum", -inf), schema.get("exclusiveMinimum", -inf))
        high = min(schema.get("maximum", inf), schema.get("exclusiveMaximum", inf))
        whole = self._integer(schema, depth)
        if isinf(low) or isinf(high) or (low <= whole <= high and whole not in _excluded(schema)):
            return whole
        middle: float = (low + high) / 2
        return middle


def resolve(root: Any, reference: str) -> Any:  # noqa: ANN401 - any JSON
    """Return the target of a reference into the schema (RFC 6901). Raises `SCHEMA_ERRORS`."""
    steps = reference.removeprefix("#").split("/")[1:]
    found = root
    for step in steps:
        found = found[step.replace("~1", "/").replace("~0", "~")]
    return found


def _kind(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    return kind if isinstance(kind, str) else str(kind[0])


def _excluded(schema: Mapping[str, Any]) -> list[float]:
    return [schema[name] for name in ("exclusiveMinimum", "exclusiveMaximum") if name in schema]


def _merge(schemas: list[Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for schema in schemas:
        if schema is True:
            continue
        for key, value in schema.items():
            if key == "properties":
                merged[key] = {**merged.get(key, {}), **value}
            elif key == "required":
                merged[key] = [*merged.get(key, []), *value]
            else:
                merged[key] = value
    return merged


def _without(schema: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name != key}
