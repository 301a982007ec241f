"""TGI's checks of a request, in its order and words, and the engine's requests. Pure.

Source: router/src/{validation,server,infer/mod}.rs of huggingface/text-generation-inference, tags
v1.1.0 and v3.3.7. `lmi_generation.py` has those of LMI.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from engine.errors import RequestRefused
from engine.protocol import GenerationRequest
from engine.tokenization.tokenizer import Tokenizer
from invoke_api.models.endpoints import Endpoint
from invoke_api.pipeline.choices import ChoiceRequests
from invoke_api.sagemaker.containers.errors import PREFIX
from invoke_api.sagemaker.containers.grammar import to_grammar
from invoke_api.sagemaker.containers.tgi_body import TgiRequest

SAMPLING = ("temperature", "top_k", "top_p", "typical_p")
# Valid, but no engine here can do it. An `adapter_id` that TGI has not loaded changes nothing
# there, and no endpoint here has loaded any.
UNSUPPORTED = ("watermark", "typical_p")
# An engine's seed is a signed integer of 64 bits.
MAX_ENGINE_SEED = 2**63 - 1
MAX_TEMPERATURE = 2.0  # vLLM's bound
ONE_ONLY = "`best_of` != 1 is not allowed for this endpoint"


def samples(parameters: Mapping[str, Any]) -> bool:
    """Tell whether the request asks for sampling. Otherwise the answer is greedy."""
    return parameters["do_sample"] or any(parameters.get(name) is not None for name in SAMPLING)


def wants_details(asked: TgiRequest) -> bool:
    """Tell whether the answer has details. Scores of the prompt are among them."""
    return bool(asked.parameters["details"] or asked.parameters["decoder_input_details"])


def count_sequences(parameters: Mapping[str, Any]) -> int:
    """Return the number of sequences that the engine makes for one answer."""
    return max(1, parameters["best_of"] or 1, parameters.get("n") or 1)


def wants_tokens(asked: TgiRequest) -> bool:
    """Tell whether the answer needs each token with its log probability."""
    return wants_details(asked) or asked.stream or count_sequences(asked.parameters) > 1


def is_in_sequences(parameters: Mapping[str, Any]) -> bool:
    """Tell whether an answer is made from sequences, which it is with scores of its prompt, too."""
    return count_sequences(parameters) > 1 or bool(parameters["decoder_input_details"])


def _checks(asked: TgiRequest, endpoint: Endpoint) -> Iterator[tuple[bool, str]]:
    """Yield each check that needs no tokenizer, in TGI's order: whether it fails, and its words."""
    given = asked.parameters
    best = 1 if given["best_of"] is None else given["best_of"]
    stops, most_stops = len(given["stop"]), endpoint.max_stop_sequences
    most_best = endpoint.max_best_of
    tops, most_tops = given["top_n_tokens"] or 0, endpoint.max_top_n_tokens
    cut, longest = given["truncate"], endpoint.max_input_length

    def is_below(name: str) -> bool:
        return given[name] is not None and given[name] <= 0

    def is_outside(name: str) -> bool:
        return given[name] is not None and not 0 < given[name] < 1

    if asked.stream:
        yield best != 1, "`best_of` != 1 is not supported when streaming tokens"
        yield (
            given["decoder_input_details"],
            "`decoder_input_details` == true is not supported when streaming tokens",
        )
    yield best > 1 == most_best, ONE_ONLY
    yield best > max(1, most_best), f"`best_of` must be > 0 and <= {most_best}. Given: {best}"
    yield best > 1 and not samples(given), "you must use sampling when `best_of` is > 1"
    yield is_below("temperature"), "`temperature` must be strictly positive"
    yield is_below("repetition_penalty"), "`repetition_penalty` must be strictly positive"
    yield (
        not -2 <= (given.get("frequency_penalty") or 0) <= 2,
        "`frequency_penalty` must be >= -2.0 and <= 2.0",
    )
    yield is_outside("top_p"), "`top_p` must be > 0.0 and < 1.0"
    yield is_outside("typical_p"), "`typical_p` must be > 0.0 and < 1.0"
    yield is_below("top_k"), "`top_k` must be strictly positive"
    yield given["max_new_tokens"] == 0, "`max_new_tokens` must be strictly positive"
    yield (
        stops > most_stops,
        f"`stop` supports up to {most_stops} stop sequences. Given: {stops}",
    )
    yield best > 1 and given["seed"] is not None, "`seed` must not be set when `best_of` > 1"
    yield (
        tops > most_tops,
        f"`top_n_tokens` must be >= 0 and <= {most_tops}. Given: {tops}",
    )
    yield not asked.inputs, "`inputs` cannot be empty"
    yield (
        cut is not None and not 0 < cut <= longest,
        f"`truncate` must be strictly positive and less than {longest}. Given: {cut}",
    )
    yield (
        (given["temperature"] or 0) > MAX_TEMPERATURE,
        f"`temperature` above {MAX_TEMPERATURE} is not supported where the model runs",
    )
    yield "" in given["stop"], "an empty `stop` is not supported where the model runs"
    for name in UNSUPPORTED:
        yield bool(given.get(name)), f"`{name}` is not supported where the model runs"


def check_parameters(asked: TgiRequest, endpoint: Endpoint) -> None:
    """Raise `RequestRefused` in TGI's words for the first mistake that needs no tokenizer."""
    for fails, sentence in _checks(asked, endpoint):
        if fails:
            raise RequestRefused(PREFIX + sentence)


def to_tgi_generation(
    asked: TgiRequest, endpoint: Endpoint, tokenizer: Tokenizer, request_id: str
) -> GenerationRequest:
    """Return the engine's request for one sequence. Raises `RequestRefused` in TGI's words."""
    check_parameters(asked, endpoint)
    parameters = asked.parameters
    prompt = _truncate(tokenizer.encode(asked.inputs), parameters["truncate"])
    constraint, schema = to_grammar(parameters.get("grammar"))
    return GenerationRequest(
        request_id=request_id,
        prompt=prompt,
        max_tokens=fit_tokens(len(prompt), parameters["max_new_tokens"], endpoint),
        constraint=constraint,
        schema=schema,
        **sampling_in(asked),
    )


def sampling_in(asked: TgiRequest) -> dict[str, Any]:
    """Return the members of the engine's request that checked parameters set."""
    parameters = asked.parameters
    temperature, seed = parameters["temperature"] or 1.0, parameters["seed"]
    return {
        "temperature": float(temperature) if samples(parameters) else 0.0,
        "top_p": parameters["top_p"] or 1.0,
        "top_k": parameters["top_k"] or 0,
        "seed": None if seed is None else seed & MAX_ENGINE_SEED,
        "repetition_penalty": float(parameters["repetition_penalty"] or 1.0),
        "frequency_penalty": float(parameters.get("frequency_penalty") or 0.0),
        "stop": tuple(parameters["stop"]),
        "keeps_stop": True,  # TGI leaves the stop sequence in the text
        "top_logprobs": (parameters["top_n_tokens"] or 0) if wants_tokens(asked) else None,
        "prompt_logprobs": 0 if parameters["decoder_input_details"] else None,
    }


def to_sequences(
    one: GenerationRequest, parameters: Mapping[str, Any], seeds: Sequence[int]
) -> GenerationRequest | ChoiceRequests:
    """Return the requests of all sequences. Without `seeds`, the engine draws them."""
    if not is_in_sequences(parameters):
        return replace(one, seed=seeds[0]) if seeds else one
    count = count_sequences(parameters)
    requests = [replace(one, request_id=f"{one.request_id}-{at}") for at in range(count)]
    for request, seed in zip(requests, seeds, strict=False):
        request.seed = seed
    return ChoiceRequests(tuple(requests), len(one.prompt), cuts_text=False)


def _truncate(prompt: tuple[int, ...], most: int | None) -> tuple[int, ...]:
    """Return the BOS and the last tokens of a prompt, `most` altogether."""
    if not most or len(prompt) <= most:
        return prompt
    return (*prompt[:1], *prompt[len(prompt) - most + 1 :])


def fit_tokens(prompt: int, most: int | None, endpoint: Endpoint) -> int:
    """Return the bound of the answer's tokens, all that fit if `most` is None.

    Raises `RequestRefused` for a prompt that is too long.
    """
    longest, room = endpoint.max_input_length, endpoint.max_total_tokens
    if most is None:
        most = max(0, room - prompt)
    if prompt + most > room:
        raise RequestRefused(
            f"{PREFIX}`inputs` tokens + `max_new_tokens` must be <= {room}. Given: {prompt}"
            f" `inputs` tokens and {most} `max_new_tokens`"
        )
    if prompt > longest:
        raise RequestRefused(
            f"{PREFIX}`inputs` must have less than {longest} tokens. Given: {prompt}"
        )
    return most
