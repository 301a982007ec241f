"""Constraints on an answer, a schema or forced tool calls, as vLLM's `structured_outputs`."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from engine.protocol import GenerationRequest, Tool
from engine.schema_instances import SCHEMA_ERRORS, resolve
from engine.tokenization.tool_calls import TOOL_CALLS_MARK

ANY_OBJECT = {"type": "object"}
MAX_REFERENCE_STEPS = 8  # nested references and combinations that are followed
COMBINED: Mapping[str, Callable[[Iterable[bool]], bool]] = {
    "anyOf": all,
    "oneOf": all,
    "allOf": any,
}
StructuredOutput = Mapping[str, str | list[str]]


class CallLayout(NamedTuple):
    """The layout of calls behind `TOOL_CALLS_MARK`.

    `{name}` stands for the tool's name, `{quoted}` for the same as JSON.
    """

    opening: str
    begin: str
    end: str
    separator: str
    closing: str


# By the style of `tool_calls`. The models were trained with these spaces.
LAYOUTS = {
    "list": CallLayout(" [", '{"name": {quoted}, "arguments": ', "}", ", ", "]"),
    "arguments": CallLayout("", "{name}[ARGS]", "", TOOL_CALLS_MARK, ""),
}


def to_structured_outputs(
    request: GenerationRequest, style: str
) -> Sequence[StructuredOutput | None]:
    """Return the structured outputs to try in turn, until vLLM accepts one.

    None is for an unconstrained answer. Forced calls are tried with the schemas of the tools, then
    with any object as arguments, then in the style `list`, which needs no structural tags.
    """
    if request.must_call:
        layout = LAYOUTS[style]
        loose = [tool._replace(parameters=json.dumps(ANY_OBJECT)) for tool in request.must_call]
        free = replace(request, must_call=tuple(loose))
        return [_to_tag(request, layout), _to_tag(free, layout), _to_list(request)]
    if request.schema is not None:
        return [{"json": request.schema}]
    if request.constraint is None:
        return [None]
    kind, value = request.constraint
    return [{kind: list(value) if kind == "choice" else str(value)}]


def _to_tag(request: GenerationRequest, layout: CallLayout) -> StructuredOutput:
    """Return the tag of calls as the model writes them, each with the schema of its tool.

    Only vLLM's backend xgrammar supports this format. It matches a control token by its name.
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
                    "max_whitespace_cnt": 1,  # a small model might write blanks for ever
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


def _begin(layout: CallLayout, name: str) -> str:
    known = {"{name}": name, "{quoted}": json.dumps(name)}
    return re.sub(r"\{(name|quoted)\}", lambda found: known[found[0]], layout.begin)


def to_arguments(tool: Tool) -> dict[str, Any]:
    """Return the tool's schema, or a schema for any object if it allows other values."""
    schema = json.loads(tool.parameters)
    if not isinstance(schema, dict):
        return ANY_OBJECT
    schema = {**ANY_OBJECT, **schema}
    try:
        return schema if _is_of_objects(schema, schema, MAX_REFERENCE_STEPS) else ANY_OBJECT
    except SCHEMA_ERRORS:  # invalid schemas and references
        return ANY_OBJECT


def _is_of_objects(schema: dict[str, Any], root: dict[str, Any], steps: int) -> bool:
    """Tell whether a schema takes objects only. At most `steps` references are followed."""
    if not steps:
        return False
    if "$ref" in schema:
        return _is_of_objects(resolve(root, schema["$ref"]), root, steps - 1)
    for keyword, enough in COMBINED.items():  # xgrammar ignores a type beside them
        if keyword in schema:
            return enough(_is_of_objects(each, root, steps - 1) for each in schema[keyword])
    if values := schema.get("enum", [schema["const"]] if "const" in schema else ()):
        return all(isinstance(value, dict) for value in values)
    return schema.get("type") == "object"


def _to_list(request: GenerationRequest) -> StructuredOutput:
    """Return the schema of calls in the style `list`, which is parsed for every model."""
    calls = {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "name": {"enum": [tool.name for tool in request.must_call]},
                "arguments": ANY_OBJECT,
            },
            "required": ["name", "arguments"],
            "additionalProperties": False,
        },
        "minItems": 1,
    }
    if request.one_call:
        calls["maxItems"] = 1
    return {"json": json.dumps(calls)}
