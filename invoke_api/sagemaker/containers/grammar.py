"""TGI 3's `grammar`: its shape, and its checks in TGI's words. Pure.

Source: router/src/{lib,validation}.rs of huggingface/text-generation-inference v3.3.7. Guess: the
words for a schema that is none.
"""

import json
from collections.abc import Mapping
from typing import Any

from engine.errors import RequestRefused
from engine.protocol import Constraint
from invoke_api.dialects.json_values import to_plain
from invoke_api.sagemaker.containers.errors import PREFIX
from invoke_api.validation.schema import find_schema_error


def is_grammar(grammar: Mapping[str, Any]) -> bool:
    """Tell whether an object is one of TGI's grammars."""
    kind, value = grammar.get("type"), grammar.get("value")
    fits = {
        "json": "value" in grammar,
        "json_object": "value" in grammar,
        "json_schema": isinstance(value, dict) and "schema" in value,
        "regex": isinstance(value, str),
    }
    return isinstance(kind, str) and fits.get(kind, False)


def to_grammar(grammar: Mapping[str, Any] | None) -> tuple[Constraint | None, str | None]:
    """Return the constraint or the JSON Schema of a grammar. Raises `RequestRefused`."""
    if grammar is None:
        return None, None
    value = to_plain(grammar["value"])
    if grammar["type"] == "regex":
        return Constraint("regex", value), None
    schema = value["schema"] if grammar["type"] == "json_schema" else value
    return None, json.dumps(_check_schema(_read_schema(schema)))


def _read_schema(told: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Return a schema, which may be a text."""
    schema = told
    if isinstance(told, str):
        try:
            schema = json.loads(told)
        except (ValueError, RecursionError) as error:
            raise _invalid(str(error)) from error
    if not isinstance(schema, dict):
        raise RequestRefused(f"{PREFIX}grammar is not supported")
    return schema


def _check_schema(schema: dict[str, Any]) -> dict[str, Any]:
    if found := find_schema_error(schema):
        raise _invalid(found)
    if "properties" not in schema:
        raise _invalid("Grammar must have a 'properties' field")
    return schema


def _invalid(said: str) -> RequestRefused:
    return RequestRefused(f"{PREFIX}grammar is not valid: {said}")
