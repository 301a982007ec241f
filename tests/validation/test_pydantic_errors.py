"""Quotation of refused keys, with limits for large bodies."""

import json

import pytest

from invoke_api.validation.pydantic_errors import (
    KINDS_OF_2407,
    KINDS_OF_PIXTRAL,
    MAX_NAMED_KEYS,
    RequestKind,
    in_json,
    in_text,
)

MESSAGES = [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize("kinds", [KINDS_OF_2407, KINDS_OF_PIXTRAL])
def test_a_large_body_is_quoted_by_its_keys(kinds: tuple[RequestKind, ...]) -> None:
    long = [{"role": "user", "content": "x" * 1_000_000}]
    said = in_json(kinds, {"messages": long, "foo": "y" * 1_000_000, "k" * 1_000_000: 1})
    document = json.loads(said)

    assert len(said) < 20_000
    assert list(document["body"])[:2] == ["messages", "foo"]
    assert document["detail"][0]["loc"] == ["body", kinds[0].name, "foo"]


def test_a_small_body_is_quoted_whole() -> None:
    body = {"messages": MESSAGES, "foo": {"b": 1, "a": 2}}

    assert json.loads(in_json(KINDS_OF_PIXTRAL, body))["body"] == body


@pytest.mark.parametrize("many", [100_000, MAX_NAMED_KEYS + 1])
def test_of_many_keys_the_first_are_named_and_all_are_counted(many: int) -> None:
    extra = {f"key{number}": number for number in range(many)}
    said = in_text("Request", extra)

    assert said.startswith(f"Validation Error: {many} validation errors for Request\nkey0\n")
    assert said.count("extra_forbidden") == 2 * MAX_NAMED_KEYS
    assert len(in_json(KINDS_OF_PIXTRAL, {"messages": MESSAGES, **extra})) < 500_000
