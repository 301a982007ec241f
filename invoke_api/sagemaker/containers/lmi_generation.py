"""The checks of LMI's parameters, in the words of vLLM, and the engine's request. Pure.

Source: the page "LMI handlers inference API schema" of deepjavalibrary/djl-serving, which describes
the parameters and no refusal. Guess: vLLM's own bounds and words.
"""

from collections.abc import Iterator
from typing import Any

from engine.errors import RequestRefused
from engine.protocol import GenerationRequest
from engine.tokenization.tokenizer import Tokenizer
from invoke_api.dialects.generation import check_sampling
from invoke_api.sagemaker.containers.tgi_body import TgiRequest
from invoke_api.sagemaker.containers.tgi_generation import (
    MAX_ENGINE_SEED,
    count_sequences,
    samples,
    wants_tokens,
)

MAX_SEQUENCES = 128  # a guard of this service
NAMES = ("presence_penalty", "frequency_penalty", "temperature", "top_p", "top_k")


def _checks(asked: TgiRequest) -> Iterator[tuple[bool, str]]:
    """Yield each check: whether it fails, and its words."""
    given, count = asked.parameters, count_sequences(asked.parameters)
    penalty, least = given["repetition_penalty"], given["min_p"]
    yield not asked.inputs, "The decoder prompt cannot be empty"
    yield (
        penalty is not None and penalty <= 0,
        f"repetition_penalty must be greater than zero, got {penalty}.",
    )
    yield given["top_p"] == 0, f"top_p must be in (0, 1], got {given['top_p']}."
    yield (
        least is not None and not 0 <= least <= 1,
        f"min_p must be in [0, 1], got {least}.",
    )
    yield given["n"] == 0, "n must be at least 1, got 0."
    yield count > MAX_SEQUENCES, f"n must be at most {MAX_SEQUENCES}, got {count}."
    yield (
        count > 1 and (not samples(given) or given["temperature"] == 0),
        f"n must be 1 when using greedy sampling, got {count}.",
    )
    yield count > 1 and asked.stream, "n must be 1 when streaming tokens."
    yield (
        given["decoder_input_details"] and asked.stream,
        "decoder_input_details is not supported when streaming tokens.",
    )
    yield (given["num_beams"] or 1) > 1, "num_beams is not supported where the model runs."


def to_lmi_generation(
    asked: TgiRequest, tokenizer: Tokenizer, request_id: str
) -> GenerationRequest:
    """Return the engine's request for one sequence. Raises `RequestRefused`."""
    given = asked.parameters
    named = {name: given[name] for name in NAMES}
    check_sampling({**named, "max_tokens": given["max_new_tokens"]})
    for fails, sentence in _checks(asked):
        if fails:
            raise RequestRefused(sentence)
    return GenerationRequest(
        request_id=request_id,
        prompt=tokenizer.encode(asked.inputs),
        max_tokens=given["max_new_tokens"],
        **_sampling_in(asked, len(tokenizer.pieces)),
    )


def _sampling_in(asked: TgiRequest, vocabulary: int) -> dict[str, Any]:
    given = asked.parameters
    if strange := [token for token in given["stop_token_ids"] if token >= vocabulary]:
        raise RequestRefused(
            f"token_id(s) {strange[:9]} in stop_token_ids contain out-of-vocab token ids."
            f" Vocabulary size: {vocabulary}"
        )
    return {
        "temperature": _or(given["temperature"], 1.0) if samples(given) else 0.0,
        "top_p": _or(given["top_p"], 1.0),
        "top_k": max(0, given["top_k"] or 0),
        "min_p": _or(given["min_p"], 0.0),
        "seed": None if given["seed"] is None else given["seed"] & MAX_ENGINE_SEED,
        "repetition_penalty": _or(given["repetition_penalty"], 1.0),
        "presence_penalty": _or(given["presence_penalty"], 0.0),
        "frequency_penalty": _or(given["frequency_penalty"], 0.0),
        "stop": tuple(given["stop"]),
        "stop_tokens": tuple(given["stop_token_ids"]),
        "keeps_stop": given["include_stop_str_in_output"],
        "ignores_eos": given["ignore_eos_token"],
        "top_logprobs": 0 if wants_tokens(asked) else None,
        "prompt_logprobs": 0 if given["decoder_input_details"] else None,
    }


def _or(value: float | None, default: float) -> float:
    return default if value is None else float(value)
