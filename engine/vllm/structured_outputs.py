"""Constrain an answer to a schema, or to calls of tools, by vLLM's `structured_outputs`."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from engine.protocol import GenerationRequest, Tool
from engine.schema_instances import ODD, resolve
from engine.tokenization.tool_calls import MARK

OBJECT = {"type": "object"}
DEEP = 8  # references and combinations inside each other that are followed
COMBINED: Mapping[str, Callable[[Iterable[bool]], bool]] = {
    "anyOf": all,
    "oneOf": all,
    "allOf": any,
}
Held = Mapping[str, str | list[str]]


class Layout(NamedTuple):
    """The layout of calls behind `MARK`.

    `{name}` stands for the tool's name, `{quoted}` for the same as JSON.
    """

    opening: str
    begin: str
    end: str
    separator: str
    closing: str


# By the style of `tool_calls`. Spaces are where the models were trained to write them.
LAYOUTS = {
    "list": Layout(" [", '{"name": {quoted}, "arguments": ', "}", ", ", "]"),
    "arguments": Layout("", "{name}[ARGS]", "", MARK, ""),
}


def to_held(request: GenerationRequest, style: str) -> Sequence[Held | None]:
    """Return what holds the answer, one or several: if vLLM refuses one, the next is to be tried.

    None is for an answer that is free. Calls are held to the schemas of the tools; else, with any
    arguments, to what the model would write; else to the style `list`, which needs no tags.
    """
    if request.must_call:
        layout = LAYOUTS[style]
        loose = [tool._replace(parameters=json.dumps(OBJECT)) for tool in request.must_call]
        free = replace(request, must_call=tuple(loose))
        return [_to_tag(request, layout), _to_tag(free, layout), _to_list(request)]
    if request.schema is not None:
        return [{"json": request.schema}]
    if request.constraint is None:
        return [None]
    kind, value = request.constraint
    return [{kind: list(value) if kind == "choice" else str(value)}]


def _to_tag(request: GenerationRequest, layout: Layout) -> Held:
    """Return the tag of calls as the model writes them, each with the schema of its tool.

    Of vLLM's backends only xgrammar knows this format. It takes a control token for its name.
    """
    tags = {
        "type": "tags_with_separator",
        "tags": [
            {
                "type": "tag",
                "begin": _begin(layout, tool.name),
                "content": {
                    "type": "json_schema",
                    "json_schema": to_arguments(tool),
                    "max_whitespace_cnt": 1,  # a toy would write blanks without end
                },
                "end": layout.end,
            }
            for tool in request.must_call
        ],
        "separator": layout.separator,
        "at_least_one": True,
        "stop_after_first": request.one_call,
    }
    around = [{"type": "const_string", "value": text} for text in (layout.opening, layout.closing)]
    parts = [part for part in (around[0], tags, around[1]) if part.get("value") != ""]
    form = {"type": "sequence", "elements": parts}
    return {"structural_tag": json.dumps({"type": "structural_tag", "format": form})}


def _begin(layout: Layout, name: str) -> str:
    known = {"{name}": name, "{quoted}": json.dumps(name)}
    return re.sub(r"\{(name|quoted)\}", lambda found: known[found[0]], layout.begin)


def to_arguments(tool: Tool) -> dict[str, Any]:
    """Return the tool's schema, or one of any object unless all instances of it are objects."""
    schema = json.loads(tool.parameters)
    if not isinstance(schema, dict):
        return OBJECT
    schema = {**OBJECT, **schema}
    try:
        return schema if _is_of_objects(schema, schema, DEEP) else OBJECT
    except ODD:  # it is no schema, or its references lead nowhere
        return OBJECT


def _is_of_objects(schema: dict[str, Any], root: dict[str, Any], steps: int) -> bool:
    """Tell whether a schema takes objects only. Follows references for so many steps."""
    if not steps:
        return False
    if "$ref" in schema:
        return _is_of_objects(resolve(root, schema["$ref"]), root, steps - 1)
    for keyword, enough in COMBINED.items():  # xgrammar does not look at a type beside them
        if keyword in schema:
            return enough(_is_of_objects(each, root, steps - 1) for each in schema[keyword])
    if values := schema.get("enum", [schema["const"]] if "const" in schema else ()):
        return all(isinstance(value, dict) for value in values)
    return schema.get("type") == "object"


def _to_list(request: GenerationRequest) -> Held:
    """Return the schema of calls in the style `list`, which is read of every model."""
    calls = {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "name": {"enum": [tool.name for tool in request.must_call]},
                "arguments": OBJECT,
            },
            "required": ["name", "arguments"],
            "additionalProperties": False,
        },
        "minItems": 1,
    }
    if request.one_call:
        calls["maxItems"] = 1
    return {"json": json.dumps(calls)}
