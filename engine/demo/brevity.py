"""Requests made short enough for the demo checkpoints, which know no end of a string or a list."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from engine.protocol import GenerationRequest
from engine.schema_instances import ODD
from engine.vllm.structured_outputs import to_arguments

# Characters of a string, items of a list, and the range of a number.
LONGEST = 40
MOST = 3
RANGE = 999
ANYTHING = {"type": "string", "maxLength": LONGEST}  # in the place of any JSON


def shorten(request: GenerationRequest) -> GenerationRequest:
    """Return the request with bounds in its schemas, and with one call where calls are forced."""
    if not request.is_held:
        return request
    tools = tuple(
        tool._replace(parameters=_shorten(to_arguments(tool))) for tool in request.must_call
    )
    schema = request.schema and _shorten(json.loads(request.schema))
    return replace(request, schema=schema, must_call=tools, one_call=True)


def _shorten(schema: Any) -> str:  # noqa: ANN401 - any JSON
    try:
        return json.dumps(bound(schema))
    except ODD:  # vLLM says what is wrong with it
        return json.dumps(schema)


def bound(schema: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return the schema with bounds where it has none. Its instances are instances of the other."""
    if schema is True or schema == {}:
        return ANYTHING
    if not isinstance(schema, dict):
        return schema
    bounded = {key: INNER.get(key, _keep)(value) for key, value in schema.items()}
    kind = schema.get("type", "object" if "properties" in schema else None)
    if isinstance(kind, str) and kind in BOUNDS and TOLD.isdisjoint(schema):
        bounded |= BOUNDS[kind](schema)
    return bounded


def _keep(value: Any) -> Any:  # noqa: ANN401 - any JSON
    return value


def _bound_named(schemas: Any) -> Any:  # noqa: ANN401 - any JSON
    if not isinstance(schemas, dict):
        return schemas
    return {name: bound(each) for name, each in schemas.items()}


def _bound_each(schemas: Any) -> Any:  # noqa: ANN401 - any JSON
    return [bound(each) for each in schemas] if isinstance(schemas, list) else schemas


# By the keywords that have schemas inside.
INNER: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("properties", "$defs", "definitions"), _bound_named),
    **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems"), _bound_each),
    "items": bound,
}
# Keywords that tell by themselves what a value is like.
TOLD = {"enum", "const", "$ref", "anyOf", "oneOf", "allOf"}


def _bound_string(schema: Mapping[str, Any]) -> dict[str, Any]:
    if {"maxLength", "pattern", "format"} & schema.keys():
        return {}
    return {"maxLength": max(LONGEST, schema.get("minLength", 0))}


def _bound_array(schema: Mapping[str, Any]) -> dict[str, Any]:
    items = {} if "items" in schema else {"items": ANYTHING}
    most = max(MOST, schema.get("minItems", 0))
    return {**items, "maxItems": schema.get("maxItems", most)}


def _bound_number(schema: Mapping[str, Any]) -> dict[str, Any]:
    """An integer is a number, too, and has no digits behind a point."""
    bounds = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
    return {} if bounds & schema.keys() else {"type": "integer", "minimum": 0, "maximum": RANGE}


def _bound_object(schema: Mapping[str, Any]) -> dict[str, Any]:
    """No more properties than the schema names, if that is allowed."""
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
