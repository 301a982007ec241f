"""Instances of schemas: valid, or refused with an error message."""

import json
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from engine.errors import SchemaRefused
from engine.schema_instances import make_arguments, make_instance

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "left": {"$ref": "#/$defs/node"},
                "right": {"$ref": "#/$defs/node"},
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                "all": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["next"],
        }
    },
    "$ref": "#/$defs/node",
}


# Each schema uses the next one twice.
DOUBLING = {
    str(number): {
        "type": "object",
        "required": ["l", "r"],
        "properties": {side: {"$ref": f"#/$defs/{number + 1}"} for side in "lr"},
    }
    for number in range(40)
} | {"40": {}}
DOUBLED = {
    str(number): {"allOf": [{"$ref": f"#/$defs/{number + 1}"}] * 2} for number in range(30)
} | {"30": {}}


@pytest.mark.parametrize(
    ("schema", "instance"),
    [
        (PERSON, {"name": "Hi.", "age": 1}),
        ({}, "Hi."),
        (True, "Hi."),
        ({"const": None}, None),
        ({"enum": ["a", "b"]}, "a"),
        ({"type": ["null", "string"]}, None),
        ({"type": "boolean"}, True),
        ({"type": "array", "items": {"type": "number"}}, [1]),
        ({"type": "array", "items": {"const": 2}, "minItems": 3}, [2, 2, 2]),
        ({"type": "array", "maxItems": 0}, []),
        ({"type": "array", "prefixItems": [{"const": 1}, {"const": 2}], "items": False}, [1, 2]),
        ({"type": "string", "minLength": 6, "maxLength": 8}, "Hi...."),
        ({"type": "string", "maxLength": 1}, "H"),
        ({"type": "string", "format": "email"}, "nobody@example.com"),
        ({"type": "integer", "minimum": 5, "multipleOf": 3}, 6),
        ({"type": "integer", "maximum": -2}, -2),
        ({"type": "number", "exclusiveMinimum": 3}, 4),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
        ({"type": "number", "minimum": 0.25, "maximum": 0.75}, 0.5),
        ({"type": "array", "minItems": 2, "uniqueItems": True}, ["Hi.", "2 Hi."]),
        (
            {"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 2, "uniqueItems": True},
            [1, 2],
        ),
        (
            {"type": "array", "items": {"maximum": -1, "type": "integer"}, "minItems": 2}
            | {"uniqueItems": True},
            [-1, -2],
        ),
        (
            {"type": "array", "items": PERSON, "minItems": 2, "uniqueItems": True},
            [{"name": "Hi.", "age": 1}, {"name": "2 Hi.", "age": 2}],
        ),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, 1),
        (
            {"allOf": [PERSON, {"properties": {"age": {"const": 3}}}], "required": ["name"]},
            {"name": "Hi.", "age": 3},
        ),
        ({"required": ["x"], "type": "object"}, {"x": "Hi."}),
        ({"allOf": [True, {"const": 1}]}, 1),
    ],
)
def test_an_instance_has_all_that_the_schema_names(schema: Any, instance: object) -> None:
    assert make_instance(schema, "Hi.") == instance
    Draft202012Validator(schema).validate(instance)


def test_a_schema_that_names_itself_comes_to_an_end() -> None:
    made = make_instance(TREE, "Hi.")

    Draft202012Validator(TREE).validate(made)
    assert len(json.dumps(made)) < 100_000


@pytest.mark.parametrize(
    ("schema", "sentence"),
    [
        ({"type": "nope"}, "Invalid JSON schema: 'nope' is not valid under any"),
        ({"type": "string", "pattern": "(a+)+$"}, "it has a pattern"),
        ({"not": {}}, "should not be valid under {}"),
        (False, "False schema does not allow 'Hi.'"),
        ({"type": "string", "minLength": 10**12}, "is too short"),
        ({"$ref": "https://example.com/schema"}, "without a model."),
        ({"$ref": "#/nowhere"}, "without a model."),
        ({"$ref": "#"}, "without a model."),
        ({"anyOf": []}, "Invalid JSON schema"),
        ({"const": 1, "$ref": "file:///etc/hostname"}, "without a model."),
        ({"const": 1, "$ref": "#/x", "x": {"type": "foo"}}, "without a model."),
        ({"$ref": "#/x", "x": {"properties": [1]}}, "without a model."),
        ({"allOf": [False]}, "without a model."),
        ({"type": "number", "minimum": 10**400, "multipleOf": 0.5}, "without a model."),
        ({"type": "array", "minItems": 400, "items": {"type": "array", "minItems": 400}}, "parts"),
        ({"$ref": "#/$defs/0", "$defs": DOUBLING}, "too many parts"),
        ({"const": 1, "allOf": [{"$ref": "#/$defs/0"}], "$defs": DOUBLED}, "too many parts"),
        (
            {
                "type": "object",
                "required": ["a" * 30 + "!"],
                "patternProperties": {"^(a+)+$": True},
                "additionalProperties": True,
            },
            "it has a pattern",
        ),
    ],
)
def test_what_has_no_easy_instance_is_refused(schema: Any, sentence: str) -> None:
    with pytest.raises(SchemaRefused, match=re.escape(sentence)):
        make_instance(schema, "Hi.")


@pytest.mark.parametrize(
    ("schema", "arguments"),
    [
        ({"properties": {"a": {"type": "string"}}}, {"a": "words"}),
        # No instance is easy to find; the object has the properties that the schema names.
        (
            {"properties": {"a": {"type": "string", "pattern": "^x$"}, "b": True}},
            {"a": "words", "b": "words"},
        ),
        ({}, {}),
        ({"type": "string"}, {}),
        (True, {}),
        ({"$ref": "#/nowhere"}, {}),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, {}),
    ],
)
def test_arguments_are_an_object_whatever_the_schema_is(schema: Any, arguments: Any) -> None:
    assert make_arguments(schema, "words") == arguments
