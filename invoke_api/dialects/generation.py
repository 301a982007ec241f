"""The engine's request, of a body that has passed its model's schema and of its prompt's tokens."""

import json
from collections.abc import Mapping
from typing import Any

from engine.chat import ChatPrompt
from engine.errors import SchemaRefused
from engine.protocol import Constraint, GenerationRequest
from invoke_api.dialects.plain import to_plain


def to_generation(
    body: Mapping[str, Any],
    prompt: ChatPrompt,
    request_id: str,
    *,
    spelled: bool,
    room: int = 1,
) -> GenerationRequest:
    """All of Mistral's bodies have these parameters by the same names, their defaults filled in.

    A body without `max_tokens` asks for up to `room` tokens. Raises `SchemaRefused`.
    """
    return GenerationRequest(
        request_id=request_id,
        prompt=prompt.tokens,
        images=prompt.images,
        max_tokens=body.get("max_tokens") or max(1, room),
        temperature=float(body["temperature"]),
        top_p=float(body["top_p"]),
        top_k=body.get("top_k", 0),  # some models have it off by default, others do not have it
        stop=tuple(body["stop"]),
        seed=body.get("seed"),
        frequency_penalty=float(body.get("frequency_penalty", 0)),
        presence_penalty=float(body.get("presence_penalty", 0)),
        spelled=spelled,
        schema=_to_schema(body.get("response_format", {})),
        constraint=_to_constraint(body.get("structured_outputs", {})),
    )


def _to_schema(wanted: Mapping[str, Any]) -> str | None:
    """OpenAI's `response_format`, which the User Guide names for open-weight models."""
    match wanted.get("type"):
        case "json_schema":
            return _written(to_plain(wanted["json_schema"]["schema"]))
        case "json_object":
            return '{"type": "object"}'
    return None


def _to_constraint(outputs: Mapping[str, Any]) -> Constraint | None:
    """VLLM's `structured_outputs`, which imported models have; its `json` is a schema."""
    for kind in ("choice", "regex", "grammar"):
        if kind in outputs:
            value = outputs[kind]
            return Constraint(kind, tuple(value) if kind == "choice" else value)
    return None


def _written(schema: Any) -> str:  # noqa: ANN401 - any JSON
    """Raises `SchemaRefused` for a number that no double holds."""
    try:
        return json.dumps(schema, allow_nan=False)
    except ValueError as error:
        raise SchemaRefused("The JSON schema has a number that is too large.") from error
