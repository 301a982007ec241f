"""Sampling parameters of `/v1/completions`: their bounds, and the constraints on an answer. Pure.

The sentences are those of vLLM 0.32, except for `UNSUPPORTED`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any

from engine.errors import SchemaRefused
from engine.protocol import Constraint, Repetition
from invoke_api.dialects.generation import MAX_LOGIT_BIAS, MAX_TOP_LOGPROBS
from invoke_api.openai.completions_body import (
    CompletionBody,
    LegacyStructuralTag,
    ResponseFormat,
    StructuralTag,
    StructuredOutputs,
)
from invoke_api.openai.errors import vllm_refusal

MAX_SEQUENCES = 16_384
TOO_MANY = (
    f"n must be at most {MAX_SEQUENCES}, got {{}}. To increase this limit, set the"
    " VLLM_MAX_N_SEQUENCES environment variable."
)
NO_PREFIX_FILL = "suffix is only supported for models with FIM completion rendering"
BAD_JSON = "Invalid JSON grammar specification."
NO_EMBEDS = "You must set `--enable-prompt-embeds` to input `prompt_embeds`."
NO_THINKING = (
    "thinking_token_budget is set but reasoning_config is not configured. Please set"
    " --reasoning-parser and/or --reasoning-config to use thinking_token_budget."
)
# Members of vLLM's that change its answers and reach no engine here, and their neutral values.
# - vLLM's server searches beams in its front end, by one generation for each token of each beam.
# - vLLM's sampler (0.32) gives all requests of a step the columns of one with `logprob_token_ids`.
UNSUPPORTED: Mapping[str, tuple[object, ...]] = {
    "use_beam_search": (False,),
    "logprob_token_ids": (None, []),
}
MAX_BAD_WORDS = 128
# Parameter: its condition, and vLLM's sentence about other values.
BOUNDS: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("n", lambda n: n >= 1, "n must be at least 1, got {}."),
    ("n", lambda n: n <= MAX_SEQUENCES, TOO_MANY),
    ("presence_penalty", lambda x: -2 <= x <= 2, "presence_penalty must be in [-2, 2], got {}."),
    ("frequency_penalty", lambda x: -2 <= x <= 2, "frequency_penalty must be in [-2, 2], got {}."),
    ("repetition_penalty", isfinite, "repetition_penalty must be a finite number, got {}."),
    (
        "repetition_penalty",
        lambda x: x > 0,
        "repetition_penalty must be greater than zero, got {}.",
    ),
    ("temperature", isfinite, "temperature must be a finite number, got {}."),
    ("temperature", lambda x: x >= 0, "temperature must be non-negative, got {}."),
    ("temperature", lambda x: x <= 2, "temperature must be in [0, 2], got {}."),
    ("top_p", lambda x: 0 < x <= 1, "top_p must be in (0, 1], got {}."),
    ("top_k", lambda k: k >= -1, "top_k must be 0 (disable), or at least 1, got {}."),
    ("min_p", lambda x: 0 <= x <= 1, "min_p must be in [0, 1], got {}."),
    ("min_tokens", lambda n: n >= 0, "min_tokens must be greater than or equal to 0, got {}."),
)
# Parameters that vLLM names, with the value, behind these sentences.
NAMED = frozenset({"temperature", "top_p", "max_tokens"})


def check_supported(body: CompletionBody) -> None:
    """Raise `ValidationException` for what this server does not do."""
    if body.suffix is not None:
        _refuse_suffix(body)
    if body.prompt_embeds not in (None, []):
        raise vllm_refusal(NO_EMBEDS, "prompt_embeds")
    if body.thinking_token_budget not in (None, -1):
        raise vllm_refusal(NO_THINKING)
    for name, neutral in UNSUPPORTED.items():
        if getattr(body, name) not in neutral:
            message = f"This server does not support `{name}`; leave it out."
            raise vllm_refusal(message, name, tells_parameter=False)


def _refuse_suffix(body: CompletionBody) -> None:
    if body.echo:
        message = "Echo is unsupported with suffix."
    elif body.truncate_prompt_tokens is not None:
        message = "suffix is not supported with truncate_prompt_tokens"
    elif isinstance(body.prompt, str):
        message = NO_PREFIX_FILL
    else:
        message = "suffix requires text prompt input for FIM completion rendering"
    raise vllm_refusal(message, "suffix", tells_parameter=False)


def check_bounds(body: CompletionBody, max_tokens: int) -> None:
    """Raise `ValidationException` for a parameter that is out of bounds.

    `max_tokens` is what the context leaves of the request's own limit.
    """
    for name, is_good, sentence in BOUNDS:
        value = getattr(body, name)
        if value is not None and not is_good(value):
            raise _out_of_bounds(name, sentence, value)
    if max_tokens < 1:
        raise _out_of_bounds("max_tokens", "max_tokens must be at least 1, got {}.", max_tokens)
    if body.min_tokens > max_tokens:
        raise vllm_refusal(
            f"min_tokens must be less than or equal to max_tokens={max_tokens},"
            f" got {body.min_tokens}."
        )
    if "" in stop_strings(body):
        raise vllm_refusal("stop cannot contain an empty string.")
    if "" in body.bad_words:
        raise vllm_refusal(
            f"bad_words cannot contain an empty string. Got bad_words={body.bad_words}"
        )
    if body.temperature == 0 and body.n > 1:
        raise vllm_refusal(f"n must be 1 when using greedy sampling, got {body.n}.")


def _out_of_bounds(name: str, sentence: str, value: object) -> Exception:
    message = sentence.format(value)
    return vllm_refusal(message, name, value) if name in NAMED else vllm_refusal(message)


def check_ids(body: CompletionBody, vocabulary: int) -> None:
    """Raise `ValidationException` for what vLLM's engine refuses, once a stream has begun."""
    for kind, number in (("sample", body.logprobs), ("prompt", scored_alternatives(body))):
        asked = vocabulary if number == -1 else number or 0
        if asked > MAX_TOP_LOGPROBS:
            message = (
                f"Requested {kind} logprobs of {asked}, which is greater than max allowed:"
                f" {MAX_TOP_LOGPROBS}"
            )
            name = "logprobs" if kind == "sample" else "prompt_logprobs"
            raise vllm_refusal(message, name, asked, in_stream=True)
    named = {"stop_token_ids": body.stop_token_ids or [], "logit_bias": to_bias(body)}
    for name, ids in named.items():
        if strange := [token for token in ids if not 0 <= token < vocabulary]:
            message = (
                f"token_id(s) {strange} in {name} contain out-of-vocab token ids."
                f" Vocabulary size: {vocabulary}"
            )
            raise vllm_refusal(message, name, strange, in_stream=True)
    allowed = body.allowed_token_ids
    if allowed is None:
        return
    if not allowed or not all(0 <= token < vocabulary for token in allowed):
        reason = "contains out-of-vocab token id!" if allowed else "is not None and empty!"
        message = f"allowed_token_ids {reason}"
        raise vllm_refusal(message, "allowed_token_ids", allowed, in_stream=True)


def scored_alternatives(body: CompletionBody) -> int | None:
    """Return how many alternatives of each of the prompt's tokens are scored, if they are."""
    if body.prompt_logprobs is None and body.echo:
        return body.logprobs
    return body.prompt_logprobs


def check_bad_words(body: CompletionBody, encode: Callable[[str], Sequence[int]]) -> None:
    """Raise `ValidationException` for bad words of no tokens, or of too many spellings.

    vLLM counts a word twice if it is another token after a space. `encode` returns a text's tokens
    without a BOS.
    """
    count = 0
    for word in body.bad_words:
        plain, inside = (encode(f"{prefix}{word.lstrip()}") for prefix in ("", " "))
        if not plain:
            message = "bad_words entries must tokenize to at least one token."
            raise vllm_refusal(message, "bad_words", body.bad_words, in_stream=True)
        count += 1 + (bool(inside) and inside[0] != plain[0] and len(inside) == len(plain))
        if count > MAX_BAD_WORDS:
            message = (
                f"Too many bad words after tokenization: {MAX_BAD_WORDS + 1}. The max number is"
                f" {MAX_BAD_WORDS}."
            )
            raise vllm_refusal(message, "bad_words", body.bad_words, in_stream=True)


def to_repetition(body: CompletionBody) -> Repetition | None:
    told = body.repetition_detection
    if told is None or not told.max_pattern_size:
        return None
    return Repetition(told.min_pattern_size, told.max_pattern_size, told.min_count)


def to_bias(body: CompletionBody) -> dict[int, float]:
    """Return `logit_bias` by token ids, clamped as vLLM does. Raises `ValidationException`."""
    told = body.logit_bias or {}
    if wrong := [key for key in told if not _is_integer(key)]:
        raise vllm_refusal(
            f"logit_bias contains key(s) that cannot be converted to integer token IDs: {wrong!r}",
            "logit_bias",
            wrong,
        )
    return {
        int(key): min(MAX_LOGIT_BIAS, max(-MAX_LOGIT_BIAS, value)) for key, value in told.items()
    }


def _is_integer(key: str) -> bool:
    try:
        int(key)
    except ValueError:
        return False
    return True


def stop_strings(body: CompletionBody) -> tuple[str, ...]:
    return (body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ())


def to_constraint(body: CompletionBody) -> tuple[str | None, Constraint | None]:
    """Return the JSON Schema and the constraint that the answer must fit.

    Raises `ValidationException` unless there is one kind, and `SchemaRefused` for an invalid one.
    """
    kinds = _constraints(body)
    if kinds is None:
        return None, None
    told = {name: value for name, value in kinds.items() if value is not None}
    if len(told) != 1:
        raise vllm_refusal(_word_kinds(kinds, some=bool(told)))
    [(name, value)] = told.items()
    if name == "json_object":
        return ('{"type": "object"}' if value else None), None
    if name == "json":
        return _to_schema(value), None
    if value == []:
        raise SchemaRefused("Choice '[]' cannot be an empty list")
    kind: Any = name  # one of `Constraint.kind`
    return None, Constraint(kind, tuple(value) if kind == "choice" else value)


def _constraints(body: CompletionBody) -> dict[str, Any] | None:
    """Return what `structured_outputs` and `response_format` ask for together, by vLLM's names."""
    outputs, wanted = body.structured_outputs, body.response_format
    is_free = wanted is None or wanted.type == "text"
    if outputs is None and is_free:
        return None
    outputs = outputs or StructuredOutputs()
    kinds = {
        "json": outputs.json_,
        "regex": outputs.regex,
        "choice": outputs.choice,
        "grammar": outputs.grammar,
        "json_object": outputs.json_object,
        "structural_tag": outputs.structural_tag,
    }
    if isinstance(wanted, ResponseFormat) and wanted.type == "json_object":
        kinds["json_object"] = True
    if isinstance(wanted, ResponseFormat) and wanted.json_schema and not is_free:
        kinds["json"] = wanted.json_schema.json_schema
    if isinstance(wanted, StructuralTag | LegacyStructuralTag):
        kinds["structural_tag"] = json.dumps(wanted.model_dump(by_alias=True))
    return kinds


def _word_kinds(kinds: Mapping[str, Any], *, some: bool) -> str:
    shown = {
        **{name: value for name, value in kinds.items() if name != "structural_tag"},
        "disable_any_whitespace": False,
        "disable_additional_properties": False,
        "whitespace_pattern": None,
        "structural_tag": kinds["structural_tag"],
        "_backend": None,
        "_backend_was_auto": False,
    }
    if some:
        start = "You can only use one kind of structured outputs constraint but multiple are"
    else:
        start = "You must use one kind of structured outputs constraint but none are"
    return f"{start} specified: {shown}"


def _to_schema(told: str | dict[str, Any]) -> str:
    """Return a JSON Schema as JSON. Raises `SchemaRefused` for what is no JSON object."""
    try:
        schema = json.loads(told) if isinstance(told, str) else told
        text = json.dumps(schema, allow_nan=False)
    except (ValueError, RecursionError):
        raise SchemaRefused(BAD_JSON) from None
    if not isinstance(schema, dict):
        raise SchemaRefused(BAD_JSON)
    return text
