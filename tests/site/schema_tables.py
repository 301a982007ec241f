"""Tables of the keys that a JSON schema describes, as Markdown. Pure."""

import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]
# The words for each limit of a schema. A range is worded in one go.
RANGES = (
    ("minimum", "maximum", ""),
    ("minLength", "maxLength", " characters"),
    ("minItems", "maxItems", " items"),
    ("minProperties", "maxProperties", " keys"),
)
OTHERS = {"exclusiveMinimum": "above {}", "pattern": "matches `{}`", "default": "default `{}`"}
DEFINITIONS = "#/$defs/"
PLAIN_LENGTH = 60  # characters of a pattern that a reader can still read


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def keys_table(schema: Schema, definitions: Mapping[str, Schema], sections: Container[str]) -> str:
    """Return a table of an object's keys. `sections` are the definitions with their own tables."""
    return table(("key", "type", "limits", "meaning"), _rows(schema, definitions, sections, ""))


def _rows(
    schema: Schema, definitions: Mapping[str, Schema], sections: Container[str], prefix: str
) -> Iterator[tuple[str, ...]]:
    """Yield a row for each key. The keys of an object without a section follow it."""
    required = schema.get("required", ())
    for key, given in schema["properties"].items():
        merged, name = resolve(given, definitions)
        limits = ["required"] if key in required else []
        limits += limits_of(merged)
        items, items_name = resolve(merged.get("items", {}), definitions)
        inner, step = (items, "[].") if "properties" in items else (merged, ".")
        linked = items_name if inner is items else name
        kind = f"list of {linked}" if inner is items and linked else kind_of(merged)
        if "$ref" in merged.get("else", {}):  # one value, or a list of several
            linked = merged["else"]["$ref"].removeprefix(DEFINITIONS)
            kind = f"{linked}, or a list"
        yield (
            f"`{prefix}{key}`",
            f"[{kind}](#{linked})" if linked in sections else kind,
            "; ".join(limits),
            cell(merged.get("description", "")),
        )
        if "properties" in inner and linked not in sections:
            yield from _rows(inner, definitions, sections, f"{prefix}{key}{step}")


def resolve(schema: Schema, definitions: Mapping[str, Schema]) -> tuple[Schema, str]:
    """Return a schema with its reference followed, and the name of the last definition."""
    name = ""
    while "$ref" in schema:
        name = schema["$ref"].removeprefix(DEFINITIONS)
        own = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**definitions[name], **own}
    return schema, name


def kind_of(schema: Schema) -> str:
    """Return the words for the type of a value."""
    if "enum" in schema:
        return ", ".join(f"`{cell(json.dumps(value))}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    kinds = schema.get("type", "object" if "properties" in schema else ())
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    items = schema.get("items", {})
    if kinds == ["array"] and "type" in items:
        return f"list of {items['type']}s"
    return " or ".join("list" if kind == "array" else kind for kind in kinds) or "any"


def limits_of(schema: Schema) -> Iterator[str]:
    """Yield the words for each limit of a value."""
    for low, high, unit in RANGES:
        if low in schema and high in schema:
            yield f"{schema[low]:,} to {schema[high]:,}{unit}"
        elif low in schema:
            yield f"at least {schema[low]:,}{unit.rstrip('s') if schema[low] == 1 else unit}"
        elif high in schema:
            yield f"at most {schema[high]:,}{unit}"
    for key, words in OTHERS.items():
        if key == "pattern" and len(str(schema.get(key, ""))) > PLAIN_LENGTH:
            continue
        if key in schema:
            value = schema[key]
            yield words.format(cell(value if isinstance(value, str) else json.dumps(value)))


def cell(text: str) -> str:
    """Return a text as the cell of a table."""
    return " ".join(text.replace("|", "\\|").split())
