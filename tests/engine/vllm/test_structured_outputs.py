"""Structured outputs for forced calls, compiled by vLLM's grammar compiler."""

import json
from typing import Any

import pytest

from engine.protocol import GenerationRequest, Tool
from engine.vllm.structured_outputs import to_arguments, to_structured_outputs

pytestmark = pytest.mark.vllm  # which brings xgrammar

SEA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
TOOLS = (Tool("f", json.dumps(SEA)), Tool("g", "{}"))
F, G = '{"name": "f", "arguments": {"a": "x"}}', '{"name": "g", "arguments": {"b": [1]}}'
ONE = {"list": f" [{F}]", "arguments": 'f[ARGS]{"a": "x"}'}
TWO = {
    "list": f" [{G}, {F}]",
    "arguments": 'g[ARGS]{"b": [1]}[TOOL_CALLS]f[ARGS]{"a": "x"}',
}
NONE = {"list": [" []", ' [{"name": "h", "arguments": {}}]', "Hi"], "arguments": ["", "h[ARGS]{}"]}
WRONG = {"list": ' [{"name": "f", "arguments": {}}]', "arguments": "f[ARGS]{}"}


def accepts(held: Any, text: str) -> bool:
    xgrammar = pytest.importorskip("xgrammar")  # it takes seconds
    testing = pytest.importorskip("xgrammar.testing")
    if "json" in held:
        grammar = xgrammar.Grammar.from_json_schema(held["json"])
    else:
        grammar = xgrammar.Grammar.from_structural_tag(held["structural_tag"])
    accepted: bool = testing._is_grammar_accept_string(grammar, text)  # noqa: SLF001 - for tests
    return accepted


def held_to(style: str, *, one_call: bool, tools: tuple[Tool, ...] = TOOLS) -> Any:
    asked = GenerationRequest(
        request_id="r", prompt=(1,), max_tokens=1, must_call=tools, one_call=one_call
    )
    return to_structured_outputs(asked, style)


@pytest.mark.parametrize("style", ["list", "arguments"])
def test_calls_are_held_to_names_and_schemas(style: str) -> None:
    for one_call in (True, False):
        tag, free, _ = held_to(style, one_call=one_call)

        assert accepts(tag, ONE[style])
        assert accepts(tag, TWO[style]) is not one_call
        assert not any(accepts(tag, text) for text in [*NONE[style], WRONG[style]])
        assert accepts(free, WRONG[style])
        assert accepts(free, TWO[style]) is not one_call
        assert not any(accepts(free, text) for text in NONE[style])


def test_a_name_is_written_as_json() -> None:
    tag, *_ = held_to("list", one_call=True, tools=(Tool('a"{name}', "{}"),))

    assert accepts(tag, ' [{"name": "a\\"{name}", "arguments": {}}]')


def test_without_tags_calls_are_held_to_names() -> None:
    for one_call in (True, False):
        *_, names = held_to("arguments", one_call=one_call)

        assert accepts(names, ONE["list"].strip())
        assert accepts(names, WRONG["list"].strip())
        assert accepts(names, TWO["list"].strip()) is not one_call
        assert not any(accepts(names, text.strip()) for text in NONE["list"])


NODE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}
TREE = {"$ref": "#/$defs/node", "$defs": {"node": NODE}}


@pytest.mark.parametrize(
    ("schema", "kept"),
    [
        (SEA, True),
        ({"properties": {"a": {}}}, True),
        (TREE, True),
        ({"anyOf": [SEA, {"const": {"b": 1}}]}, True),
        ({"allOf": [SEA, {"required": ["b"]}]}, True),
        ({"enum": [{"a": 1}, {}]}, True),
        (True, False),
        ({"type": "string"}, False),
        ({"type": ["object", "null"]}, False),
        ({"anyOf": [SEA, {"type": "null"}]}, False),
        ({"anyOf": [{}]}, False),
        ({"const": 1}, False),
        ({"$ref": "#"}, False),
        ({"$ref": "#/nowhere"}, False),
        ({"$ref": 1}, False),
        ({"anyOf": 1}, False),
    ],
)
def test_arguments_are_objects_whatever_the_schema_says(schema: Any, kept: bool) -> None:  # noqa: FBT001 - a parameter
    held = to_arguments(Tool("f", json.dumps(schema)))

    assert held == ({"type": "object", **schema} if kept else {"type": "object"})
