"""TGI's checks of a request, in its order and words, and the engine's request. Pure.

Source: router/src/validation.rs of huggingface/text-generation-inference v1.1.0.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from engine.errors import RequestRefused
from engine.protocol import Constraint, GenerationRequest
from engine.tokenization.tokenizer import Tokenizer
from invoke_api.dialects.json_values import to_plain
from invoke_api.models.endpoints import Endpoint
from invoke_api.sagemaker.tgi_body import TgiRequest

PREFIX = "Input validation error: "
SAMPLING = ("temperature", "top_k", "top_p", "typical_p")
UNSUPPORTED = ("watermark", "decoder_input_details", "typical_p", "best_of", "adapter_id")
# An engine's seed is a signed integer of 64 bits.
MAX_ENGINE_SEED = 2**63 - 1


def samples(parameters: Mapping[str, Any]) -> bool:
    """Tell whether the request asks for sampling. Otherwise the answer is greedy."""
    return parameters["do_sample"] or any(parameters[name] is not None for name in SAMPLING)


def _checks(asked: TgiRequest, endpoint: Endpoint) -> Iterator[tuple[bool, str]]:
    """Yield each check that needs no tokenizer, in TGI's order: whether it fails, and its words."""
    given = asked.parameters
    best, most_best = given["best_of"], endpoint.max_best_of
    several, stops, most_stops = (best or 1) > 1, len(given["stop"]), endpoint.max_stop_sequences
    tops, most_tops = given["top_n_tokens"] or 0, endpoint.max_top_n_tokens
    cut, longest = given["truncate"], endpoint.max_input_length

    def is_below(name: str) -> bool:
        return given[name] is not None and given[name] <= 0

    def is_outside(name: str) -> bool:
        return given[name] is not None and not 0 < given[name] < 1

    yield (
        best is not None and not 0 < best <= most_best,
        f"`best_of` must be > 0 and <= {most_best}. Given: {best}",
    )
    yield several and not samples(given), "you must use sampling when `best_of` is > 1"
    yield is_below("temperature"), "`temperature` must be strictly positive"
    yield is_below("repetition_penalty"), "`repetition_penalty` must be strictly positive"
    yield is_outside("top_p"), "`top_p` must be > 0.0 and < 1.0"
    yield is_outside("typical_p"), "`typical_p` must be > 0.0 and < 1.0"
    yield is_below("top_k"), "`top_k` must be strictly positive"
    yield given["max_new_tokens"] == 0, "`max_new_tokens` must be strictly positive"
    yield (
        stops > most_stops,
        f"`stop` supports up to {most_stops} stop sequences. Given: {stops}",
    )
    yield several and given["seed"] is not None, "`seed` must not be set when `best_of` > 1"
    yield (
        tops > most_tops,
        f"`top_n_tokens` must be >= 0 and <= {most_tops}. Given: {tops}",
    )
    yield not asked.inputs, "`inputs` cannot be empty"
    yield (
        cut is not None and not 0 < cut <= longest,
        f"`truncate` must be strictly positive and less than {longest}. Given: {cut}",
    )
    if asked.stream:
        yield several, "`best_of` != 1 is not supported when streaming tokens"
        yield (
            given["decoder_input_details"],
            "`decoder_input_details` == true is not supported when streaming tokens",
        )
    # Valid, but no engine here can do it.
    for name in UNSUPPORTED:
        is_used = several if name == "best_of" else bool(given.get(name))
        yield is_used, f"`{name}` is not supported where the model runs"


def to_generation(
    asked: TgiRequest, endpoint: Endpoint, tokenizer: Tokenizer, request_id: str
) -> GenerationRequest:
    """Return the engine's request. Raises `RequestRefused` in TGI's words."""
    parameters = asked.parameters
    for fails, sentence in _checks(asked, endpoint):
        if fails:
            raise RequestRefused(PREFIX + sentence)
    prompt = _encode(asked, endpoint, tokenizer)
    wants_tokens = parameters["details"] or asked.stream
    constraint, schema = _grammar(parameters.get("grammar"))
    temperature = parameters["temperature"] or 1.0
    return GenerationRequest(
        request_id=request_id,
        prompt=prompt,
        max_tokens=parameters["max_new_tokens"],
        temperature=float(temperature) if samples(parameters) else 0.0,
        top_p=parameters["top_p"] or 1.0,
        top_k=parameters["top_k"] or 0,
        seed=None if parameters["seed"] is None else parameters["seed"] & MAX_ENGINE_SEED,
        repetition_penalty=float(parameters["repetition_penalty"] or 1.0),
        frequency_penalty=float(parameters.get("frequency_penalty") or 0.0),
        stop=tuple(parameters["stop"]),
        keeps_stop=True,  # TGI leaves the stop sequence in the text
        top_logprobs=(parameters["top_n_tokens"] or 0) if wants_tokens else None,
        constraint=constraint,
        schema=schema,
    )


def _encode(asked: TgiRequest, endpoint: Endpoint, tokenizer: Tokenizer) -> tuple[int, ...]:
    """Return the prompt's token ids. Raises `RequestRefused` for a prompt that is too long."""
    cut, most = asked.parameters["truncate"], asked.parameters["max_new_tokens"]
    longest, room = endpoint.max_input_length, endpoint.max_total_tokens
    prompt = tokenizer.encode(asked.inputs)
    if cut and len(prompt) > cut:  # keep the BOS and the last tokens
        prompt = (*prompt[:1], *prompt[len(prompt) - cut + 1 :])
    if len(prompt) + most > room:
        raise RequestRefused(
            f"{PREFIX}`inputs` tokens + `max_new_tokens` must be <= {room}. Given: {len(prompt)}"
            f" `inputs` tokens and {most} `max_new_tokens`"
        )
    if len(prompt) > longest:
        raise RequestRefused(
            f"{PREFIX}`inputs` must have less than {longest} tokens. Given: {len(prompt)}"
        )
    return prompt


def _grammar(grammar: Mapping[str, Any] | None) -> tuple[Constraint | None, str | None]:
    """Return the constraint or the JSON Schema of TGI 3's `grammar`. Guess: for its refusals."""
    if grammar is None:
        return None, None
    kind, value = grammar.get("type"), to_plain(grammar.get("value"))
    if kind == "regex" and isinstance(value, str):
        return Constraint("regex", value), None
    if kind == "json" and isinstance(value, dict):
        return None, json.dumps(value)
    raise RequestRefused(PREFIX + "grammar is not valid")
