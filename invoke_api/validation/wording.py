"""A schema violation in the words of everit-org/json-schema, the library behind Bedrock's door."""

from collections.abc import Callable, Iterator
from typing import Any

from jsonschema.exceptions import ValidationError

from invoke_api.validation.java import hash_map_order, type_name

JAVA_TYPES = {
    "string": "String",
    "integer": "Integer",
    "number": "Number",
    "boolean": "Boolean",
    "array": "JSONArray",
    "object": "JSONObject",
}


def describe(error: ValidationError) -> Iterator[str]:
    """Each violation behind one of jsonschema's errors, as `#/pointer: what is wrong`."""
    pointer = "#" + "".join(f"/{step}" for step in error.absolute_path)
    for sentence in WORDS.get(str(error.validator), _other)(error):
        yield f"{pointer}: {sentence}"


def _required(error: ValidationError) -> Iterator[str]:
    # jsonschema reports each missing key by itself and names it only in its message.
    missing = [key for key in _value(error) if key not in _instance(error)]
    yield from (f"required key [{key}] not found" for key in missing if f"'{key}'" in error.message)


def _extraneous(error: ValidationError) -> Iterator[str]:
    known = error.schema["properties"]  # type: ignore[index]  # a schema that is a bool has no keywords
    for key in hash_map_order(_instance(error)):
        if key not in known:
            yield f"extraneous key [{key}] is not permitted"


def _type(error: ValidationError) -> Iterator[str]:
    yield f"expected type: {JAVA_TYPES[_value(error)]}, found: {type_name(error.instance)}"


def _items(error: ValidationError) -> Iterator[str]:
    side = "maximum" if error.validator == "maxItems" else "minimum"
    yield f"expected {side} item count: {_value(error)}, found: {len(_instance(error))}"


def _bound(error: ValidationError) -> Iterator[str]:
    side = "less" if error.validator == "maximum" else "greater"
    yield f"{error.instance} is not {side} or equal to {_value(error)}"


def _other(error: ValidationError) -> Iterator[str]:
    yield error.message


def _value(error: ValidationError) -> Any:  # noqa: ANN401 - a keyword's value is any JSON
    return error.validator_value


def _instance(error: ValidationError) -> Any:  # noqa: ANN401 - any JSON
    return error.instance


WORDS: dict[str, Callable[[ValidationError], Iterator[str]]] = {
    "required": _required,
    "additionalProperties": _extraneous,
    "type": _type,
    "maxItems": _items,
    "minItems": _items,
    "maximum": _bound,
    "minimum": _bound,
}
