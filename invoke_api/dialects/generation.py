"""The engine's request, of a body that has passed its model's schema and of its prompt's tokens."""

from collections.abc import Mapping
from typing import Any

from engine.protocol import GenerationRequest


def to_generation(
    body: Mapping[str, Any], prompt: tuple[int, ...], request_id: str, *, spelled: bool
) -> GenerationRequest:
    """All of Mistral's bodies have these parameters by the same names, their defaults filled in."""
    return GenerationRequest(
        request_id=request_id,
        prompt=prompt,
        max_tokens=body["max_tokens"],
        temperature=float(body["temperature"]),
        top_p=float(body["top_p"]),
        top_k=body.get("top_k", 0),  # some models have it off by default, others do not have it
        stop=tuple(body["stop"]),
        spelled=spelled,
    )
