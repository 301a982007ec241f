"""Bounds in schemas for the demo checkpoints: a bounded schema is narrower than the given one."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from engine.demo.brevity import ANYTHING, bound, shorten
from engine.protocol import GenerationRequest, Tool
from engine.schema_instances import make_instance

SEA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "code": {"type": "string", "pattern": "^[a-z]$"},
        "depth": {"type": "number"},
        "year": {"type": "integer", "minimum": 1900},
        "salt": {"enum": ["much", "little"]},
        "shores": {"type": "array", "items": {"$ref": "#/$defs/shore"}},
        "notes": {"type": "array"},
        "more": True,
        "next": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "$defs": {"shore": {"properties": {"sand": {"type": "boolean"}}}},
}
STRING = {"type": "string", "maxLength": 40}


def test_what_has_no_end_gets_one() -> None:
    made = bound(SEA)

    assert made["additionalProperties"] is False
    assert made["properties"] == {
        "name": STRING,
        "code": {"type": "string", "pattern": "^[a-z]$"},
        "depth": {"type": "integer", "minimum": 0, "maximum": 999},
        "year": {"type": "integer", "minimum": 1900},
        "salt": {"enum": ["much", "little"]},
        "shores": {"type": "array", "items": {"$ref": "#/$defs/shore"}, "maxItems": 3},
        "notes": {"type": "array", "items": ANYTHING, "maxItems": 3},
        "more": ANYTHING,
        "next": {"anyOf": [STRING, {"type": "null"}]},
    }
    assert made["$defs"]["shore"]["additionalProperties"] is False


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "maxLength": 3},
        {"type": "string", "format": "date"},
        {"type": "boolean"},
        {"type": "object", "required": ["a"]},
        {"type": "object", "minProperties": 1},
        {"type": ["string", "null"]},
        {"const": 1},
        {"type": 1},
        {"properties": 1, "type": "nope"},
        {"anyOf": 1},
        False,
        1,
    ],
)
def test_what_has_bounds_or_is_no_schema_stays(schema: Any) -> None:
    assert bound(schema) == schema


KINDS = st.sampled_from(["string", "integer", "number", "boolean", "null", "object", "array"])
SCHEMAS = st.recursive(
    st.fixed_dictionaries({"type": KINDS}) | st.just({}) | st.just(True),  # noqa: FBT003 - a schema
    lambda inner: st.one_of(
        st.fixed_dictionaries(
            {
                "type": st.just("object"),
                "properties": st.dictionaries(st.text(max_size=3), inner, max_size=3),
            }
        ),
        st.fixed_dictionaries({"type": st.just("array"), "items": inner}),
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=3)}),
    ),
)


@given(schema=SCHEMAS)
def test_an_instance_is_one_of_the_schema_without_bounds_too(schema: Any) -> None:
    Draft202012Validator(schema).validate(make_instance(bound(schema), "words"))


@pytest.mark.parametrize("wrong", [{"required": 1}, {"properties": 1}, {"required": [[]]}])
def test_what_is_no_schema_is_left_to_vllm(wrong: dict[str, Any]) -> None:
    schema = json.dumps({"type": "object", **wrong})
    held = GenerationRequest(request_id="r", prompt=(1,), max_tokens=1, schema=schema)

    assert shorten(held).schema == schema


def test_a_request_is_shortened_where_it_is_held() -> None:
    free = GenerationRequest(request_id="r", prompt=(1,), max_tokens=1)
    held = GenerationRequest(request_id="r", prompt=(1,), max_tokens=1, schema='{"type": "string"}')
    tools = (Tool("f", "{}"), Tool("g", '{"type": "string"}'))
    forced = GenerationRequest(request_id="r", prompt=(1,), max_tokens=1, must_call=tools)
    nothing = {"type": "object", "additionalProperties": False}

    assert shorten(free) is free
    assert json.loads(shorten(held).schema or "") == STRING
    assert shorten(forced).one_call
    assert [json.loads(tool.parameters) for tool in shorten(forced).must_call] == [nothing] * 2
