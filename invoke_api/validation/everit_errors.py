"""Schema violations in the words and the order of everit-org/json-schema, Bedrock's validator.

Source: its code (1.14.6: the visitors, ValidationException.getAllMessages, SchemaLoader). For each
value the plain violations come first. Then come the groups that everit wraps into one exception
each: several violations of one property or of one subschema.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import orjson
from jsonschema.exceptions import ValidationError

from invoke_api.validation.java_values import hash_map_order, type_name
from invoke_api.validation.org_json import shorten, to_string

JAVA_TYPES = {
    "string": "String",
    "integer": "Integer",
    "number": "Number",
    "boolean": "Boolean",
    "array": "JSONArray",
    "object": "JSONObject",
}

# A body of 25 MB can have millions of violations.
MAX_VIOLATIONS = 1_000

Violation = str | list["Violation"]


def in_words(errors: Iterable[ValidationError]) -> list[str]:
    """Return the violations behind jsonschema's errors, each as `#/pointer: message`."""
    return list(islice(_flatten(_at(list(islice(errors, MAX_VIOLATIONS)), 0)), MAX_VIOLATIONS))


def malformed(errors: Iterable[ValidationError]) -> str:
    """Return Bedrock's message for a body with these violations."""
    said = "".join(in_words(errors))
    return f"Malformed input request: {said}, please reformat your input and try again."


def _flatten(violations: Sequence[Violation]) -> Iterator[str]:
    yield from (one for one in violations if isinstance(one, str))
    for one in violations:
        if isinstance(one, list):
            yield from _flatten(one)


def _at(errors: Sequence[ValidationError], depth: int) -> list[Violation]:
    """Return the violations of the value at the first `depth` steps of these errors' paths."""
    here = [error for error in errors if len(error.absolute_path) == depth]
    below: dict[str | int, list[ValidationError]] = {}
    for error in errors:
        if len(error.absolute_path) > depth:
            below.setdefault(error.absolute_path[depth], []).append(error)
    if any(error.validator == "type" for error in here):
        here = [error for error in here if error.validator in ("type", *SUBSCHEMA_KEYWORDS)]
    found = [one for error in sorted(here, key=_rank) for one in _describe(error)]
    found += [_wrap(_at(below[step], depth + 1)) for step in _in_order(below)]
    # everit wraps several kinds of keyword on one value into one schema with subschemas.
    is_wrapped = any(_kinds(error.schema) > 1 for error in here)
    return [found] if is_wrapped else found


def _wrap(found: list[Violation]) -> Violation:
    return found[0] if len(found) == 1 else found


def _in_order(steps: Iterable[str | int]) -> list[Any]:
    steps = list(steps)
    if isinstance(steps[0] if steps else 0, int):
        return steps
    return hash_map_order([str(step) for step in steps])


def _kinds(schema: Any) -> int:  # noqa: ANN401 - any JSON Schema
    return sum(keyword in schema for keyword in (*SUBSCHEMA_KEYWORDS, "type")) if schema else 0


def _rank(error: ValidationError) -> int:
    """Return the place in everit's order: enum, combinations, then keywords of the value's type."""
    return RANKS.get(str(error.validator), len(RANKS))


def _describe(error: ValidationError) -> Iterator[Violation]:
    pointer = "#" + "".join(f"/{_escape(step)}" for step in error.absolute_path)
    if error.validator in ("anyOf", "oneOf") and error.context:
        yield [_wrap(_at([one], len(one.absolute_path))) for one in error.context]
        return
    for sentence in WORDS.get(str(error.validator), _other)(error):
        yield f"{pointer}: {sentence}"


def _escape(step: str | int) -> str:
    return str(step).replace("~", "~0").replace("/", "~1")  # RFC 6901


def _required(error: ValidationError) -> Iterator[str]:
    # jsonschema reports each missing key separately and names it in its message only.
    missing = [key for key in _value(error) if key not in _instance(error)]
    yield from (f"required key [{key}] not found" for key in missing if f"'{key}'" in error.message)


def _extraneous(error: ValidationError) -> Iterator[str]:
    assert isinstance(error.schema, dict), "a schema that is a bool has no keywords"
    known = error.schema.get("properties", {})
    for key in hash_map_order(islice(_instance(error), MAX_VIOLATIONS)):
        if key not in known:
            yield f"extraneous key [{shorten(key)}] is not permitted"


def _type(error: ValidationError) -> Iterator[str]:
    found = type_name(error.instance)
    kinds = _value(error)
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        if kind == "null":
            yield f"expected: null, found: {found}"
        else:
            yield f"expected type: {JAVA_TYPES[kind]}, found: {found}"


def _items(error: ValidationError) -> Iterator[str]:
    side = "maximum" if error.validator == "maxItems" else "minimum"
    yield f"expected {side} item count: {_value(error)}, found: {len(_instance(error))}"


def _size(error: ValidationError) -> Iterator[str]:
    side = "maximum" if error.validator == "maxProperties" else "minimum"
    yield f"{side} size: [{_value(error)}], found: [{len(_instance(error))}]"


def _length(error: ValidationError) -> Iterator[str]:
    # everit counts code points, as Python does.
    yield f"expected {error.validator}: {_value(error)}, actual: {len(_instance(error))}"


def _false(_: ValidationError) -> Iterator[str]:
    yield "false schema always fails"


def _one_of(error: ValidationError) -> Iterator[str]:
    subschemas = len(_value(error))
    yield f"{subschemas} subschemas matched instead of one"


def _not(error: ValidationError) -> Iterator[str]:
    schema = orjson.dumps(_value(error)).decode()
    yield f"subject must not be valid against schema {schema}"


def _other(error: ValidationError) -> Iterator[str]:
    yield error.message


def _says(form: str) -> Callable[[ValidationError], Iterator[str]]:
    """Return a function that fills `form` with the found value and the schema's value."""

    def describe(error: ValidationError) -> Iterator[str]:
        yield form.format(found=to_string(error.instance), wanted=_value(error))

    return describe


def _value(error: ValidationError) -> Any:  # noqa: ANN401 - a keyword's value is any JSON
    return error.validator_value


def _instance(error: ValidationError) -> Any:  # noqa: ANN401 - any JSON
    return error.instance


# In everit's order, which is also the order of the messages about one value.
WORDS: Mapping[str, Callable[[ValidationError], Iterator[str]]] = {
    "enum": _says("{found} is not a valid enum value"),
    "oneOf": _one_of,
    "not": _not,
    "const": _says(""),
    "type": _type,
    "None": _false,
    "required": _required,
    "minProperties": _size,
    "maxProperties": _size,
    "additionalProperties": _extraneous,
    "minItems": _items,
    "maxItems": _items,
    "uniqueItems": _says("array items are not unique"),
    "contains": _says("expected at least one array item to match 'contains' schema"),
    "minLength": _length,
    "maxLength": _length,
    "pattern": _says("string [{found}] does not match pattern {wanted}"),
    "minimum": _says("{found} is not greater or equal to {wanted}"),
    "exclusiveMinimum": _says("{found} is not greater than {wanted}"),
    "maximum": _says("{found} is not less or equal to {wanted}"),
    "exclusiveMaximum": _says("{found} is not less than {wanted}"),
    "multipleOf": _says("{found} is not a multiple of {wanted}"),
}
RANKS = {keyword: rank for rank, keyword in enumerate(WORDS)}
# Keywords for which everit makes a separate schema, beside the schema of the value's type.
SUBSCHEMA_KEYWORDS = ("enum", "allOf", "anyOf", "oneOf", "not", "const")
