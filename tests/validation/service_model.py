"""Conversion of botocore's shapes into JSON Schemas, for comparison with the project's schemas."""

from typing import Any

# Coral's JSON types of scalars; a blob is base64 in JSON.
SCALARS = {
    "string": "string",
    "blob": "string",
    "boolean": "boolean",
    "integer": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "timestamp": "number",
}
LIMITS = {
    "string": ("minLength", "maxLength"),
    "list": ("minItems", "maxItems"),
    "map": ("minProperties", "maxProperties"),
    "integer": ("minimum", "maximum"),
    "float": ("minimum", "maximum"),
}


def to_schema(shape: Any, without: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return the schema of a shape. `without` are members that are not in the body."""
    if getattr(shape, "is_document_type", False):
        return {}
    schema = _limits(shape)
    if shape.type_name == "structure":
        members = {name: to_schema(m) for name, m in shape.members.items() if name not in without}
        schema |= {"type": "object", "properties": members}
        required = [name for name in shape.required_members if name not in without]
        if required:
            schema["required"] = required
        if getattr(shape, "is_tagged_union", False):
            schema |= {"title": shape.name, "minProperties": 1, "maxProperties": 1}
        return schema
    if shape.type_name == "list":
        return {"type": "array", "items": to_schema(shape.member), **schema}
    if shape.type_name == "map":
        keys = {key: value for key, value in to_schema(shape.key).items() if key != "type"}
        values = to_schema(shape.value)
        return {"type": "object", "propertyNames": keys, "additionalProperties": values, **schema}
    return {"type": SCALARS[shape.type_name], **schema}


def _limits(shape: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    lowest, highest = LIMITS.get(shape.type_name, ("", ""))
    if lowest and shape.metadata.get("min"):
        found[lowest] = shape.metadata["min"]
    if highest and "max" in shape.metadata:
        found[highest] = shape.metadata["max"]
    if lowest == "minimum" and "min" in shape.metadata:
        found[lowest] = shape.metadata["min"]
    if shape.metadata.get("enum"):
        found["enum"] = list(shape.metadata["enum"])
    if "pattern" in shape.metadata:
        found["pattern"] = f"^({shape.metadata['pattern']})$"
    if shape.metadata.get("sensitive"):
        found["sensitive"] = True
    return found
