"""The engine's request, of a body that has passed its model's schema and of its prompt's tokens."""

import json
from collections.abc import Mapping
from typing import Any

from engine.chat import ChatPrompt
from engine.errors import SchemaRefused
from engine.protocol import GenerationRequest
from invoke_api.dialects.plain import to_plain


def to_generation(
    body: Mapping[str, Any], prompt: ChatPrompt, request_id: str, *, spelled: bool
) -> GenerationRequest:
    """All of Mistral's bodies have these parameters by the same names, their defaults filled in.

    Raises `SchemaRefused`.
    """
    return GenerationRequest(
        request_id=request_id,
        prompt=prompt.tokens,
        images=prompt.images,
        audio=prompt.audio,
        max_tokens=body["max_tokens"],
        temperature=float(body["temperature"]),
        top_p=float(body["top_p"]),
        top_k=body.get("top_k", 0),  # some models have it off by default, others do not have it
        stop=tuple(body["stop"]),
        spelled=spelled,
        schema=_to_schema(body.get("response_format", {})),
    )


def _to_schema(wanted: Mapping[str, Any]) -> str | None:
    """OpenAI's `response_format`, which the User Guide names for open-weight models."""
    match wanted.get("type"):
        case "json_schema":
            return _written(to_plain(wanted["json_schema"]["schema"]))
        case "json_object":
            return '{"type": "object"}'
    return None


def _written(schema: Any) -> str:  # noqa: ANN401 - any JSON
    """Raises `SchemaRefused` for a number that no double holds."""
    try:
        return json.dumps(schema, allow_nan=False)
    except ValueError as error:
        raise SchemaRefused("The JSON schema has a number that is too large.") from error
