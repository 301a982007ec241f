"""Conversion of a checked body and its encoded prompt into the engine's request."""

import json
from collections.abc import Mapping
from dataclasses import replace
from math import inf
from typing import Any

from engine.errors import RequestRefused, SchemaRefused
from engine.protocol import Constraint, GenerationRequest
from engine.tokenization.chat_template import ChatPrompt
from invoke_api.dialects.json_values import to_plain

# For schemas without a default: the User Guide's default for models of `messages`. Guess: it
# shrinks to the free part of the context, as in vLLM.
DEFAULT_TOKENS = 8_192
# Keys that few bodies have. Looking up each of them in every body would take time.
RARE_KEYS = frozenset(
    {
        *("seed", "frequency_penalty", "presence_penalty", "logit_bias", "logprobs"),
        *("response_format", "structured_outputs"),
    }
)

MAX_TOP_LOGPROBS = 20  # alternatives per token: OpenAI's limit and vLLM's
MAX_LOGIT_BIAS = 100.0  # vLLM clamps greater values, negative ones likewise
# Parameter: the lowest value, the highest value, and vLLM's error message.
SAMPLING_BOUNDS: dict[str, tuple[float, float, str]] = {
    "presence_penalty": (-2, 2, "presence_penalty must be in [-2, 2], got {value}."),
    "frequency_penalty": (-2, 2, "frequency_penalty must be in [-2, 2], got {value}."),
    "temperature": (0, 2, "temperature must be in [0, 2], got {value}."),
    # The User Guide allows 0, although vLLM's message does not.
    "top_p": (0, 1, "top_p must be in (0, 1], got {value}."),
    "top_k": (-1, inf, "top_k must be 0 (disable), or at least 1, got {value}."),
    "max_completion_tokens": (1, inf, "max_tokens must be at least 1, got {value}."),
    "max_tokens": (1, inf, "max_tokens must be at least 1, got {value}."),
    "top_logprobs": (
        0,
        MAX_TOP_LOGPROBS,
        "Requested sample logprobs of {value}, which is greater than max allowed: 20",
    ),
}


def to_generation(
    body: Mapping[str, Any], prompt: ChatPrompt, request_id: str, *, vocabulary: int, spelled: bool
) -> GenerationRequest:
    """Return the engine's request. All of Mistral's bodies have the same names of parameters.

    `vocabulary` is the number of the tokenizer's tokens. Raises `RequestRefused` and
    `SchemaRefused`.
    """
    check_sampling(body)
    stop = body["stop"]
    most = body.get("max_completion_tokens", body.get("max_tokens"))
    asked = GenerationRequest(
        request_id=request_id,
        prompt=prompt.tokens,
        images=prompt.images,
        audio=prompt.audio,
        max_tokens=DEFAULT_TOKENS if most is None else most,
        shortens=most is None,
        temperature=float(body["temperature"]),
        top_p=float(body["top_p"]),
        # Off by default in some models, missing in others; -1 means off, too.
        top_k=max(0, body.get("top_k", 0)),
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        spelled=spelled,
    )
    return asked if RARE_KEYS.isdisjoint(body) else replace(asked, **_read_rare(body, vocabulary))


def _read_rare(body: Mapping[str, Any], vocabulary: int) -> dict[str, Any]:
    """Return the members of the engine's request that follow from `RARE_KEYS`."""
    return {
        "seed": body.get("seed"),
        "frequency_penalty": float(body.get("frequency_penalty", 0)),
        "presence_penalty": float(body.get("presence_penalty", 0)),
        "logit_bias": to_bias(body.get("logit_bias", {}), vocabulary),
        "top_logprobs": body.get("top_logprobs", 0) if body.get("logprobs") else None,
        "schema": _to_schema(body.get("response_format", {})),
        "constraint": _to_constraint(body.get("structured_outputs", {})),
    }


def _to_schema(wanted: Mapping[str, Any]) -> str | None:
    """Return the JSON Schema of OpenAI's `response_format`, or None.

    The User Guide documents it for open-weight models.
    """
    match wanted.get("type"):
        case "json_schema":
            return _written(to_plain(wanted["json_schema"]["schema"]))
        case "json_object":
            return '{"type": "object"}'
    return None


def _to_constraint(outputs: Mapping[str, Any]) -> Constraint | None:
    """Return the constraint of vLLM's `structured_outputs`, or None. Imported models have it."""
    for kind in ("choice", "regex", "grammar"):
        if kind in outputs:
            value = outputs[kind]
            return Constraint(kind, tuple(value) if kind == "choice" else value)
    return None


def _written(schema: Any) -> str:  # noqa: ANN401 - any JSON
    """Return a schema as JSON. Raises `SchemaRefused` for a number beyond a double's range."""
    try:
        return json.dumps(schema, allow_nan=False)
    except ValueError as error:
        raise SchemaRefused("The JSON schema has a number that is too large.") from error


def check_sampling(body: Mapping[str, Any]) -> None:
    """Raise `RequestRefused` for the first parameter that is out of bounds."""
    for name, value in body.items():
        if value is None or name not in SAMPLING_BOUNDS:
            continue
        lowest, highest, sentence = SAMPLING_BOUNDS[name]
        if not lowest <= value <= highest:
            shown = value if isinstance(value, int) else float(value)
            raise RequestRefused(sentence.format(value=shown))
    if body.get("top_logprobs") is not None and not body.get("logprobs"):
        raise RequestRefused("when using `top_logprobs`, `logprobs` must be set to true.")


def to_bias(told: Mapping[str, Any], vocabulary: int) -> dict[int, float]:
    """Return OpenAI's `logit_bias` by token ids. Raises `RequestRefused` for an invalid id."""
    if wrong := [key for key in told if not (key.isascii() and key.isdigit() and len(key) < 10)]:
        raise RequestRefused(
            f"logit_bias contains key(s) that cannot be converted to integer token IDs: {wrong[:9]}"
        )
    bias = {
        int(key): min(MAX_LOGIT_BIAS, max(-MAX_LOGIT_BIAS, float(value)))
        for key, value in told.items()
    }
    if strange := [token for token in bias if token >= vocabulary]:
        raise RequestRefused(
            f"token_id(s) {strange[:9]} in logit_bias contain out-of-vocab token ids."
            f" Vocabulary size: {vocabulary}"
        )
    return bias
