"""Keywords that Mistral's schemas do not use (yet): everit's messages and their order.

Messages without a source follow the code of everit-org/json-schema 1.14.6.
"""

import json
from typing import Any

import pytest

from invoke_api.validation.everit_errors import WORDS
from invoke_api.validation.schema import BodySchema
from invoke_api.wire.errors import ValidationException
from invoke_api.yaml_files import SCHEMAS

# Keywords that check nothing.
UNCHECKED_KEYWORDS = {
    "if",
    "then",
    "$schema",
    "title",
    "description",
    "default",
    "properties",
    "items",
}

OBJECT = {"type": "object", "properties": {}, "additionalProperties": False}


def of(schema: dict[str, Any], value: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a schema with one property of this kind, and a body that has it."""
    return {"type": "object", "properties": {"x": schema}}, {"x": value}


CASES: list[tuple[str, tuple[dict[str, Any], Any], list[str]]] = [
    ("enum", of({"enum": ["a", "b"]}, "c"), ["#/x: c is not a valid enum value"]),
    ("enum of null", of({"enum": ["a"]}, None), ["#/x: null is not a valid enum value"]),
    (
        "enum of an object",
        of({"enum": ["a"]}, {"k": [1]}),
        ['#/x: {"k":[1]} is not a valid enum value'],
    ),
    ("const", of({"const": 1}, 2), ["#/x: "]),
    (
        "minLength",
        of({"type": "string", "minLength": 3}, "ab"),
        ["#/x: expected minLength: 3, actual: 2"],
    ),
    (
        "maxLength counts code points",
        of({"type": "string", "maxLength": 1}, "🦜🦜"),
        ["#/x: expected maxLength: 1, actual: 2"],
    ),
    (
        "pattern",
        of({"type": "string", "pattern": "^a$"}, "b"),
        ["#/x: string [b] does not match pattern ^a$"],
    ),
    ("exclusiveMinimum", of({"exclusiveMinimum": 0}, 0), ["#/x: 0 is not greater than 0"]),
    ("exclusiveMaximum", of({"exclusiveMaximum": 1}, 1), ["#/x: 1 is not less than 1"]),
    ("multipleOf", of({"multipleOf": 2}, 3), ["#/x: 3 is not a multiple of 2"]),
    ("minItems", of({"minItems": 1}, []), ["#/x: expected minimum item count: 1, found: 0"]),
    ("uniqueItems", of({"uniqueItems": True}, [1, 1]), ["#/x: array items are not unique"]),
    (
        "contains",
        of({"contains": {"type": "string"}}, [1]),
        ["#/x: expected at least one array item to match 'contains' schema"],
    ),
    ("minProperties", of({"minProperties": 1}, {}), ["#/x: minimum size: [1], found: [0]"]),
    ("maxProperties", of({"maxProperties": 0}, {"a": 1}), ["#/x: maximum size: [0], found: [1]"]),
    # Quoted: "#/texts: false schema always fails".
    (
        "false",
        ({"type": "object", "properties": {"x": False}}, {"x": 1}),
        ["#/x: false schema always fails"],
    ),
    ("null", of({"type": "null"}, 1), ["#/x: expected: null, found: Integer"]),
    (
        "one of two types",
        of({"type": ["string", "integer"]}, None),
        ["#/x: expected type: String, found: Null", "#/x: expected type: Integer, found: Null"],
    ),
    (
        "anyOf",
        of({"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1}]}, []),
        [
            "#/x: expected type: String, found: JSONArray",
            "#/x: expected minimum item count: 1, found: 0",
        ],
    ),
    (
        "oneOf, none",
        of({"oneOf": [{"type": "string"}, {"type": "number"}]}, None),
        ["#/x: expected type: String, found: Null", "#/x: expected type: Number, found: Null"],
    ),
    (
        "oneOf, both",
        of({"oneOf": [{"type": "integer"}, {"type": "number"}]}, 1),
        ["#/x: 2 subschemas matched instead of one"],
    ),
    (
        "allOf",
        of({"allOf": [{"minimum": 3}, {"maximum": 1}]}, 2),
        ["#/x: 2 is not greater or equal to 3", "#/x: 2 is not less or equal to 1"],
    ),
    (
        # Recorded of Claude: fumito-ito/AnthropicSwiftSDK#19.
        "not, then extraneous keys",
        (
            {**OBJECT, "not": {"required": ["messages"]}, "properties": {"messages": {}}},
            {"messages": [], "stream": True, "model": "m"},
        ),
        [
            '#: subject must not be valid against schema {"required":["messages"]}',
            "#: extraneous key [stream] is not permitted",
            "#: extraneous key [model] is not permitted",
        ],
    ),
    (
        # Quoted of AI21 by langgenius/dify; two of the keys share a bucket of Java's HashMap.
        "nulls in the order of the schema's HashMap",
        (
            {
                "type": "object",
                "properties": {
                    "topP": {"type": "number"},
                    "temperature": {"type": "number"},
                    "maxTokens": {"type": "integer"},
                },
            },
            {"temperature": None, "topP": None, "maxTokens": None},
        ),
        [
            "#/temperature: expected type: Number, found: Null",
            "#/maxTokens: expected type: Integer, found: Null",
            "#/topP: expected type: Number, found: Null",
        ],
    ),
    (
        "a group comes behind plain violations",
        (
            {
                "type": "object",
                "required": ["z"],
                "properties": {
                    "a": {"type": "string", "enum": ["v"]},
                    "b": {"minimum": 2, "multipleOf": 5},
                    "c": {"maximum": 0},
                },
            },
            {"a": "w", "b": 1, "c": 1},
        ),
        [
            "#: required key [z] not found",
            "#/c: 1 is not less or equal to 0",
            "#/a: w is not a valid enum value",
            "#/b: 1 is not greater or equal to 2",
            "#/b: 1 is not a multiple of 5",
        ],
    ),
    (
        "no properties at all",
        of({"additionalProperties": False}, {"k": 1}),
        ["#/x: extraneous key [k] is not permitted"],
    ),
    (
        "deep down",
        (
            {
                "type": "object",
                "properties": {
                    "m": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["role"],
                            "properties": {"~/": {"type": "string"}},
                        },
                    }
                },
            },
            {"m": [{"~/": 1}]},
        ),
        [
            "#/m/0: required key [role] not found",
            "#/m/0/~0~1: expected type: String, found: Integer",
        ],
    ),
]


@pytest.mark.parametrize(
    ("question", "violations"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_violation_is_worded_as_everit_does(
    question: tuple[dict[str, Any], Any], violations: list[str]
) -> None:
    schema, body = question
    with pytest.raises(ValidationException) as caught:
        BodySchema(schema).parse(json.dumps(body).encode())

    told = caught.value.message.removeprefix("Malformed input request: ")
    assert told == "".join(violations) + ", please reformat your input and try again."


def test_a_body_of_many_violations_is_answered_with_the_first() -> None:
    schema = BodySchema({"properties": {"x": {"items": {"type": "string"}}}})
    with pytest.raises(ValidationException) as caught:
        schema.parse(b'{"x":[' + b"1," * 90_000 + b"1]}")

    assert caught.value.message.count("#/x/") == 1_000


def test_every_keyword_of_our_schemas_has_its_words() -> None:
    used: set[str] = set()
    for path in {*SCHEMAS.glob("mi*l*-*.json")} - {*SCHEMAS.glob("mistral-chat-2025.json")}:
        schema = json.loads(path.read_text())
        stop = schema["properties"]["stop"]["items"]
        used |= {key for part in (schema, stop, *schema["properties"].values()) for key in part}

    assert {"minimum", "required"} < used
    assert used - UNCHECKED_KEYWORDS <= set(WORDS)
