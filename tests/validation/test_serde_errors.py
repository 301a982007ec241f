"""serde's messages about a body: the reported mistake, its description, its column."""

import json
from typing import Any

import pytest

from invoke_api.validation.json_document import parse_json
from invoke_api.validation.schema import Validator
from invoke_api.validation.serde_errors import (
    DESERIALIZE_FAILED,
    WORDS,
    InvalidBody,
    in_serdes_words,
)
from invoke_api.yaml_files import SCHEMAS, load_schema

NAME = "mistral-chat-2025.json"
SCHEMA = Validator(load_schema(NAME))
USER = {"role": "user", "content": "Hi"}
# Keywords with subschemas, and keywords that check nothing.
UNCHECKED_KEYWORDS = {
    "properties",
    "items",
    "default",
    "title",
    "description",
    "$schema",
    "if",
    "else",
    "then",
}


def word(body: Any) -> str:
    value = parse_json(body if isinstance(body, bytes) else json.dumps(body).encode())
    return in_serdes_words(InvalidBody(value, SCHEMA.iter_errors(value), "mistral.model"))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"temperature": "hot"}, "'temperature': invalid type: string \"hot\", expected f32"),
        ({"seed": True}, "'seed': invalid type: boolean `true`, expected i64"),
        ({"seed": 1.5}, "'seed': invalid type: floating point `1.5`, expected i64"),
        ({"top_k": [1]}, "'top_k': invalid type: sequence, expected i32"),
        ({"top_k": {"a": 1}}, "'top_k': invalid type: map, expected i32"),
        ({"max_tokens": -1}, "'max_tokens': invalid value: integer `-1`, expected u32"),
        ({"user": 7}, "'user': invalid type: integer `7`, expected a string"),
        ({"store": "x"}, "'store': invalid type: string \"x\", expected a boolean"),
        ({"stop": ["a", 1]}, "'stop': data did not match any variant of untagged enum Stop"),
        ({"logit_bias": {"5": None}}, "'logit_bias.5': invalid type: null, expected f32"),
        ({"service_tier": "gold"}, "'service_tier': unknown variant `gold`, expected one of"),
        ({"modalities": ["audio"]}, "'modalities[0]': unknown variant `audio`, expected `text`"),
        ({"reasoning_effort": 1}, "'reasoning_effort': invalid type: integer `1`, expected a st"),
        ({"reasoning_effort": "x"}, "'reasoning_effort': unknown variant `x`, expected one of"),
        ({"response_format": {}}, "'response_format': missing field `type`"),
        ({"messages": [{"content": "a"}]}, "'messages[0]': missing field `role`"),
        (
            {"stream_options": {"x": 1}},
            "'stream_options': unknown variant `x`, expected `include_usage`",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(more: dict[str, Any], said: str) -> None:
    sentence = word({"messages": [USER], **more})

    assert sentence.startswith(f"{DESERIALIZE_FAILED}Invalid {said}")
    assert " at line 1 column " in sentence


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"max_tokens": 5}, f"{DESERIALIZE_FAILED}missing field `messages`"),
        ({"messages": [USER], "store": True}, "'store' is not supported"),
        ({"messages": [USER], "verbosity": "low"}, "'verbosity' is not supported"),
        ({"messages": [USER], "n": 2}, "'n' is not supported for values greater than 1"),
        ([], f"{DESERIALIZE_FAILED}invalid type: sequence, expected CreateChatCompletionRequest"),
        (None, f"{DESERIALIZE_FAILED}invalid type: null, expected CreateChatCompletionRequest"),
    ],
)
def test_a_mistake_without_a_place_has_a_sentence(body: Any, said: str) -> None:
    assert word(body) == said


def test_the_first_mistake_of_the_text_is_named_and_what_is_missing_is_missed_at_the_end() -> None:
    assert "unknown variant `a`" in word({"a": 1, "seed": "x"})
    assert "'seed'" in word({"seed": "x", "a": 1})
    assert "unknown variant `b`" in word(b'{"b": 1, "a": 2}')


def test_a_place_is_counted_in_bytes_of_the_body_as_the_server_writes_it() -> None:
    written = '{"model":"mistral.model","service_tier":"default","user":"\u00e9","seed":"x"'

    assert word({"user": "é", "seed": "x"}).endswith(f"column {len(written.encode())}")


def test_every_keyword_of_the_schema_has_its_words() -> None:
    used: set[str] = set()

    def note(part: Any) -> None:
        used.update(part)
        for key in ("properties",):
            for each in part.get(key, {}).values():
                note(each)
        inner = (part.get("items"), part.get("then"), part.get("else"), *part.get("anyOf", ()))
        for each in inner:
            if isinstance(each, dict):
                note(each)

    note(json.loads((SCHEMAS / NAME).read_text()))

    assert used - UNCHECKED_KEYWORDS <= set(WORDS)
