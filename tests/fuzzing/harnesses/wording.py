"""Bodies: any bytes pass a schema, or are refused with everit's or Coral's messages."""

import json
from contextlib import suppress
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from invoke_api.operations.request_checks import coral_schema
from invoke_api.validation.java_values import type_name
from invoke_api.validation.json_document import NotJson, parse_json
from invoke_api.validation.org_json import to_string, write_json
from invoke_api.validation.schema import BodySchema, Validator, compile_quick
from invoke_api.validation.serde_errors import InvalidBody, in_serdes_words
from invoke_api.wire.errors import InvokeError, SerializationException, ValidationException
from invoke_api.yaml_files import load_schema

OF_2025 = "mistral-chat-2025.json"
MODELS = (
    *("mistral-7b-instruct.json", "mixtral-8x7b-instruct.json", "mistral-chat-2407.json"),
    OF_2025,
)
OPERATIONS = (
    *("converse.json", "apply_guardrail.json", "count_tokens.json", "logging_configuration.json"),
)


def check(data: bytes) -> None:
    value = _check_json(data)
    for name in MODELS:
        schema, exact, is_right = model_schema(name)
        with suppress(ValidationException):
            try:
                schema.parse(data)
            except ValidationException as error:
                _check_error(error)
                raise
            assert exact.is_valid(value)
        if name == OF_2025 and isinstance(value, dict) and not exact.is_valid(value):
            assert in_serdes_words(InvalidBody(value, exact.iter_errors(value), "model"))
        assert not is_right(value) or exact.is_valid(value)
    for name in OPERATIONS:
        try:
            coral_schema(name).parse(data)
        except (SerializationException, ValidationException) as error:
            _check_error(error)


@cache
def model_schema(name: str) -> tuple[BodySchema, Draft202012Validator, Any]:
    """Return the service's schema, jsonschema's validator, and the fast check."""
    document = load_schema(name)
    return BodySchema(document), Validator(document), compile_quick(document)


def _check_json(data: bytes) -> Any:
    """Check that JSON is read as Python reads it, and quoted as the same value."""
    try:
        value = parse_json(data)
    except NotJson:
        return None
    assert type_name(value)
    assert to_string(value) or value == ""
    written = write_json(value)
    assert parse_json(written.encode()) == value
    with suppress(ValueError):  # integers of more than 4,300 digits
        assert json.loads(written, parse_float=str) is not NotImplemented
    return value


def _check_error(error: InvokeError) -> None:
    document = json.loads(error.to_json())
    assert document == {"message": error.message}
    assert error.message
    assert error.status == 400
