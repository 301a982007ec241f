"""Bounds on the answers of the demo checkpoints, which do not end a string or a list."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from engine.protocol import GenerationRequest
from engine.schema_instances import SCHEMA_ERRORS
from engine.vllm.structured_outputs import to_arguments

MAX_STRING_CHARACTERS = 40
MAX_ITEMS = 3
MAX_NUMBER = 999
ANYTHING = {"type": "string", "maxLength": MAX_STRING_CHARACTERS}  # replaces a schema for any JSON


def shorten(request: GenerationRequest) -> GenerationRequest:
    """Return the request with bounded schemas, and with a single call if calls are forced."""
    if not request.is_constrained:
        return request
    tools = tuple(
        tool._replace(parameters=_shorten(to_arguments(tool))) for tool in request.must_call
    )
    schema = request.schema and _shorten(json.loads(request.schema))
    return replace(request, schema=schema, must_call=tools, one_call=True)


def _shorten(schema: Any) -> str:  # noqa: ANN401 - any JSON
    try:
        return json.dumps(bound(schema))
    except SCHEMA_ERRORS:  # vLLM reports the error
        return json.dumps(schema)


def bound(schema: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return the schema with bounds where it has none. Its instances fit the given one, too."""
    if schema is True or schema == {}:
        return ANYTHING
    if not isinstance(schema, dict):
        return schema
    bounded = {key: SUBSCHEMAS.get(key, _unchanged)(value) for key, value in schema.items()}
    kind = schema.get("type", "object" if "properties" in schema else None)
    if isinstance(kind, str) and kind in BOUNDS and SELF_DESCRIBING.isdisjoint(schema):
        bounded |= BOUNDS[kind](schema)
    return bounded


def _unchanged(value: Any) -> Any:  # noqa: ANN401 - any JSON
    return value


def _bound_named(schemas: Any) -> Any:  # noqa: ANN401 - any JSON
    if not isinstance(schemas, dict):
        return schemas
    return {name: bound(each) for name, each in schemas.items()}


def _bound_each(schemas: Any) -> Any:  # noqa: ANN401 - any JSON
    return [bound(each) for each in schemas] if isinstance(schemas, list) else schemas


# By the keywords that contain schemas.
SUBSCHEMAS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("properties", "$defs", "definitions"), _bound_named),
    **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems"), _bound_each),
    "items": bound,
}
# Keywords that need no further bounds.
SELF_DESCRIBING = {"enum", "const", "$ref", "anyOf", "oneOf", "allOf"}


def _bound_string(schema: Mapping[str, Any]) -> dict[str, Any]:
    if {"maxLength", "pattern", "format"} & schema.keys():
        return {}
    return {"maxLength": max(MAX_STRING_CHARACTERS, schema.get("minLength", 0))}


def _bound_array(schema: Mapping[str, Any]) -> dict[str, Any]:
    items = {} if "items" in schema else {"items": ANYTHING}
    most = max(MAX_ITEMS, schema.get("minItems", 0))
    return {**items, "maxItems": schema.get("maxItems", most)}


def _bound_number(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Bound a number to an integer, because a fraction has no end."""
    bounds = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
    return (
        {} if bounds & schema.keys() else {"type": "integer", "minimum": 0, "maximum": MAX_NUMBER}
    )


def _bound_object(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Allow no further properties than the schema names, if it permits that."""
    needs = {"minProperties", "patternProperties", "propertyNames"} & schema.keys()
    unnamed = set(schema.get("required", ())) - schema.get("properties", {}).keys()
    return {} if needs or unnamed else {"additionalProperties": False}


BOUNDS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "string": _bound_string,
    "array": _bound_array,
    "integer": _bound_number,
    "number": _bound_number,
    "object": _bound_object,
}
