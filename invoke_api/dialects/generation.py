"""The engine's request, of a body that has passed its model's schema and of its prompt's tokens."""

import json
from collections.abc import Mapping
from math import inf
from typing import Any

from engine.errors import RequestRefused, SchemaRefused
from engine.protocol import Constraint, GenerationRequest
from engine.tokenization.chat_template import ChatPrompt
from invoke_api.dialects.json_values import to_plain

# For schemas without a default: the User Guide's for the models of `messages`. Guess: as in vLLM,
# the default shrinks to the room that is left.
DEFAULT_TOKENS = 8_192
# Keys of few bodies. Looking each of them up in every body takes time.
RARE = frozenset(
    {
        *("seed", "frequency_penalty", "presence_penalty", "logit_bias", "logprobs"),
        *("response_format", "structured_outputs"),
    }
)


def to_generation(
    body: Mapping[str, Any], prompt: ChatPrompt, request_id: str, *, vocabulary: int, spelled: bool
) -> GenerationRequest:
    """All of Mistral's bodies have these parameters by the same names, their defaults filled in.

    `vocabulary` is how many tokens the model's tokenizer has. Raises `RequestRefused` and
    `SchemaRefused`.
    """
    check_sampling(body)
    stop = body["stop"]
    most = body.get("max_completion_tokens", body.get("max_tokens"))
    return GenerationRequest(
        request_id=request_id,
        prompt=prompt.tokens,
        images=prompt.images,
        audio=prompt.audio,
        max_tokens=DEFAULT_TOKENS if most is None else most,
        shortens=most is None,
        temperature=float(body["temperature"]),
        top_p=float(body["top_p"]),
        # Some models have it off by default, others do not have it; -1 is off, too.
        top_k=max(0, body.get("top_k", 0)),
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        spelled=spelled,
        **({} if RARE.isdisjoint(body) else _read_rare(body, vocabulary)),
    )


def _read_rare(body: Mapping[str, Any], vocabulary: int) -> dict[str, Any]:
    """Return the members of the engine's request that most bodies say nothing of."""
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


MOST_LOGPROBS = 20  # OpenAI's, and vLLM's
STRONGEST_BIAS = 100.0  # what is beyond counts as that, in vLLM
# Parameter: the lowest and the highest value, and how vLLM says so.
BOUNDS: dict[str, tuple[float, float, str]] = {
    "presence_penalty": (-2, 2, "presence_penalty must be in [-2, 2], got {value}."),
    "frequency_penalty": (-2, 2, "frequency_penalty must be in [-2, 2], got {value}."),
    "temperature": (0, 2, "temperature must be in [0, 2], got {value}."),
    # vLLM has no 0 either; the User Guide has.
    "top_p": (0, 1, "top_p must be in (0, 1], got {value}."),
    "top_k": (-1, inf, "top_k must be 0 (disable), or at least 1, got {value}."),
    "max_completion_tokens": (1, inf, "max_tokens must be at least 1, got {value}."),
    "max_tokens": (1, inf, "max_tokens must be at least 1, got {value}."),
    "top_logprobs": (
        0,
        MOST_LOGPROBS,
        "Requested sample logprobs of {value}, which is greater than max allowed: 20",
    ),
}


def check_sampling(body: Mapping[str, Any]) -> None:
    """Raise `RequestRefused` for the first parameter that is out of bounds."""
    for name, value in body.items():
        if value is None or name not in BOUNDS:
            continue
        lowest, highest, sentence = BOUNDS[name]
        if not lowest <= value <= highest:
            shown = value if isinstance(value, int) else float(value)
            raise RequestRefused(sentence.format(value=shown))
    if body.get("top_logprobs") is not None and not body.get("logprobs"):
        raise RequestRefused("when using `top_logprobs`, `logprobs` must be set to true.")


def to_bias(told: Mapping[str, Any], vocabulary: int) -> dict[int, float]:
    """Return OpenAI's `logit_bias` by token ids. Raise `RequestRefused`."""
    if wrong := [key for key in told if not (key.isascii() and key.isdigit() and len(key) < 10)]:
        raise RequestRefused(
            f"logit_bias contains key(s) that cannot be converted to integer token IDs: {wrong[:9]}"
        )
    bias = {
        int(key): min(STRONGEST_BIAS, max(-STRONGEST_BIAS, float(value)))
        for key, value in told.items()
    }
    if strange := [token for token in bias if token >= vocabulary]:
        raise RequestRefused(
            f"token_id(s) {strange[:9]} in logit_bias contain out-of-vocab token ids."
            f" Vocabulary size: {vocabulary}"
        )
    return bias
