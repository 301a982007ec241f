"""A quick yes to a body that is plainly right; whatever else it is, jsonschema is asked.

Validating a good body is most of the work in front of an engine that answers at once.
`tests/validation/test_quick.py` holds every yes against jsonschema's.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

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
