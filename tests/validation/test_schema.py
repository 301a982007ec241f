"""The fast check: it never accepts a body that jsonschema refuses, and all schemas have one."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_api.validation.schema import Validator, compile_quick
from invoke_api.yaml_files import SCHEMAS

SCHEMAS_BY_NAME = {
    path.name: json.loads(path.read_text()) for path in sorted(SCHEMAS.glob("mi*.json"))
}
SHIPPED = {
    name: schema for name, schema in SCHEMAS_BY_NAME.items() if "prompt" in schema["properties"]
}
KEYS = st.sampled_from(["prompt", "max_tokens", "stop", "temperature", "top_p", "top_k", "x"])
NUMBERS = st.integers(-1, 9000) | st.decimals(-1, 2, places=2) | st.floats(0, 1)
VALUES = st.none() | st.booleans() | NUMBERS | st.text() | st.lists(st.text() | NUMBERS)


@pytest.mark.parametrize("name", SCHEMAS_BY_NAME)
@given(body=st.dictionaries(KEYS, VALUES) | VALUES)
def test_a_quick_yes_is_jsonschemas(name: str, body: Any) -> None:
    if compile_quick(SCHEMAS_BY_NAME[name])(body):
        assert Validator(SCHEMAS_BY_NAME[name]).is_valid(body)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_good_body_gets_a_quick_yes(name: str) -> None:
    body = {"prompt": "Hi", "max_tokens": 5, "stop": ["x"], "temperature": Decimal("0.5")}

    assert compile_quick(SHIPPED[name])(body)


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"properties": {}, "additionalProperties": True},
        {"additionalProperties": False, "minProperties": 1},
        {"properties": {"x": {"enum": [1]}}, "additionalProperties": False},
        {"properties": {"x": True}, "additionalProperties": False},
        {"properties": {"x": {"type": "boolean"}}, "additionalProperties": False},
        {"properties": {"x": {"type": "string", "maximum": 1}}, "additionalProperties": False},
        {"properties": {"x": {"type": "integer", "minimum": 1}}, "additionalProperties": False},
        {"properties": {"x": {"type": "array"}}, "additionalProperties": False},
    ],
)
def test_what_is_not_simple_is_not_known(schema: dict[str, Any]) -> None:
    assert not compile_quick(schema)({"x": 1})
    assert not compile_quick(schema)({})
