"""TGI's body and its checks, without a server: types, bounds, their order and words."""

import json
from typing import Any

import pytest

from engine.errors import RequestRefused
from engine.protocol import GenerationRequest
from engine.tokenization.tokenizer import load_tokenizer
from invoke_api.models.endpoints import Endpoint
from invoke_api.sagemaker.containers.kinds import CONTAINERS
from invoke_api.sagemaker.containers.lmi_generation import to_lmi_generation
from invoke_api.sagemaker.containers.tgi_body import (
    BodyRefused,
    TgiRequest,
    parse_body,
    read_tgi_body,
)
from invoke_api.sagemaker.containers.tgi_generation import to_tgi_generation

ENDPOINT = Endpoint(name="e", model_id="m", container="tgi-1.1")
TOO_MANY = (
    "`inputs` tokens + `max_new_tokens` must be <= 2048. Given: 2 `inputs` tokens and 2047"
    " `max_new_tokens`"
)
FAILED = "Failed to deserialize the JSON body into the target type: "


def read(body: Any, container: str = "tgi-1.1") -> TgiRequest:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    value = parse_body(raw, "application/json")
    return read_tgi_body(value, raw.decode(), CONTAINERS[container])


def generate(
    container: str = "tgi-1.1", inputs: str = "Hi", **parameters: Any
) -> GenerationRequest:
    stream = parameters.pop("stream", False)
    asked = read({"inputs": inputs, "parameters": parameters, "stream": stream}, container)
    if container == "lmi":
        return to_lmi_generation(asked, load_tokenizer("v1"), "id")
    return to_tgi_generation(asked, ENDPOINT, load_tokenizer("v1"), "id")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b'{"parameters": {}}', "missing field `inputs` at COLUMN 18"),
        (b'{\n "a": 1\n}', "missing field `inputs` at line 3 column 1"),
        (
            b'{"inputs": 3}',
            "inputs: invalid type: integer `3`, expected a string at COLUMN 12",
        ),
        (
            b'{"inputs": ["a"]}',
            "inputs: invalid type: sequence, expected a string at COLUMN 12",
        ),
        (
            b'{"inputs": "a", "stream": "yes"}',
            'stream: invalid type: string "yes", expected a boolean at COLUMN 31',
        ),
        (
            b'{"inputs": "a", "parameters": null}',
            "parameters: invalid type: null, expected struct GenerateParameters at COLUMN 34",
        ),
        (
            b'{"inputs": "a", "parameters": {"max_new_tokens": -1}}',
            "parameters.max_new_tokens: invalid value: integer `-1`, expected u32 at COLUMN 51",
        ),
        (
            b'{"inputs": "a", "parameters": {"top_k": 1.5}}',
            "parameters.top_k: invalid type: floating point `1.5`, expected i32 at COLUMN 43",
        ),
        (
            b'{"inputs": "a", "parameters": {"stop": "x"}}',
            'parameters.stop: invalid type: string "x", expected a sequence at COLUMN 42',
        ),
        (b"[]", "invalid type: sequence, expected struct CompatGenerateRequest at COLUMN 1"),
    ],
)
def test_a_wrong_type_is_refused_with_its_place(body: bytes, sentence: str) -> None:
    with pytest.raises(BodyRefused) as caught:
        read(body)

    expected = FAILED + sentence.replace("COLUMN", "line 1 column")
    assert (caught.value.status, caught.value.text) == (422, expected)


@pytest.mark.parametrize(
    ("raw", "kind", "status", "text"),
    [
        (b"{}", "text/plain", 415, "Expected request with `Content-Type: application/json`"),
        (b"{}", "", 415, "Expected request with `Content-Type: application/json`"),
        (b"{", "application/json", 400, "Failed to parse the request body as JSON: EOF while"),
        (b"", "application/json", 400, "Failed to parse the request body as JSON: EOF while"),
        (b"x", "application/json", 400, "Failed to parse the request body as JSON: expected value"),
        (b"\xff", "application/json", 400, "Failed to parse the request body as JSON: "),
    ],
)
def test_what_is_no_json_is_refused(raw: bytes, kind: str, status: int, text: str) -> None:
    with pytest.raises(BodyRefused) as caught:
        parse_body(raw, kind)

    assert caught.value.status == status
    assert caught.value.text.startswith(text)


def test_unknown_keys_are_ignored_and_null_is_the_default() -> None:
    asked = read({"inputs": "a", "more": 1, "parameters": {"top_k": None, "other": []}})

    assert asked.parameters["top_k"] is None
    assert asked.parameters["max_new_tokens"] == 20


@pytest.mark.parametrize(("container", "tokens"), [("tgi-1.1", 20), ("tgi-3", 2_046), ("lmi", 30)])
def test_each_container_has_its_own_default(container: str, tokens: int) -> None:
    assert generate(container).max_tokens == tokens


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"best_of": 3}, "`best_of` must be > 0 and <= 2. Given: 3"),
        ({"best_of": 2}, "you must use sampling when `best_of` is > 1"),
        ({"temperature": 0}, "`temperature` must be strictly positive"),
        ({"repetition_penalty": 0.0}, "`repetition_penalty` must be strictly positive"),
        ({"top_p": 1.0}, "`top_p` must be > 0.0 and < 1.0"),
        ({"typical_p": 0}, "`typical_p` must be > 0.0 and < 1.0"),
        ({"top_k": 0}, "`top_k` must be strictly positive"),
        ({"max_new_tokens": 0}, "`max_new_tokens` must be strictly positive"),
        ({"stop": list("abcde")}, "`stop` supports up to 4 stop sequences. Given: 5"),
        (
            {"best_of": 2, "do_sample": True, "seed": 1},
            "`seed` must not be set when `best_of` > 1",
        ),
        ({"top_n_tokens": 6}, "`top_n_tokens` must be >= 0 and <= 5. Given: 6"),
        ({"inputs": ""}, "`inputs` cannot be empty"),
        ({"truncate": 0}, "`truncate` must be strictly positive and less than 1024. Given: 0"),
        (
            {"stream": True, "best_of": 2, "do_sample": True},
            "`best_of` != 1 is not supported when streaming tokens",
        ),
        (
            {"stream": True, "decoder_input_details": True},
            "`decoder_input_details` == true is not supported when streaming tokens",
        ),
        (
            {"max_new_tokens": 2_047},
            TOO_MANY,
        ),
        (
            {"inputs": "Hi " * 1_024, "max_new_tokens": 1},
            "`inputs` must have less than 1024 tokens. Given: 1026",
        ),
        # A stream's own checks come first.
        (
            {"stream": True, "best_of": 0, "max_new_tokens": 0},
            "`best_of` != 1 is not supported when streaming tokens",
        ),
        # The bound of `best_of` comes before the check of the temperature.
        ({"best_of": 3, "temperature": 0}, "`best_of` must be > 0 and <= 2. Given: 3"),
        (
            {"temperature": 2.5},
            "`temperature` above 2.0 is not supported where the model runs",
        ),
        ({"stop": [""]}, "an empty `stop` is not supported where the model runs"),
        ({"watermark": True}, "`watermark` is not supported where the model runs"),
        ({"typical_p": 0.5}, "`typical_p` is not supported where the model runs"),
        # The first mistake wins, in TGI's order.
        ({"max_new_tokens": 0, "top_k": 0, "inputs": ""}, "`top_k` must be strictly positive"),
    ],
)
def test_a_bound_is_checked_in_tgis_words(parameters: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RequestRefused) as caught:
        generate(**parameters)

    assert str(caught.value) == f"Input validation error: {sentence}"


def test_without_sampling_parameters_an_answer_is_greedy() -> None:
    assert generate().temperature == 0
    assert generate(do_sample=True).temperature == 1
    assert generate(top_k=5).temperature == 1
    assert generate(temperature=0.5).temperature == 0.5


def test_parameters_reach_the_engine() -> None:
    request = generate(
        temperature=0.5, top_p=0.9, top_k=7, repetition_penalty=1.2, seed=3, stop=["a", "b"]
    )

    assert (request.temperature, request.top_p, request.top_k) == (0.5, 0.9, 7)
    assert (request.repetition_penalty, request.seed) == (1.2, 3)
    assert (request.stop, request.keeps_stop) == (("a", "b"), True)


def test_truncate_keeps_the_bos_and_the_last_tokens() -> None:
    whole = generate(inputs="one two three four").prompt
    cut = generate(inputs="one two three four", truncate=3).prompt

    assert cut == (whole[0], *whole[-2:])
    assert generate(inputs="one two", truncate=1).prompt == whole[:1]


def test_only_tgi_3_knows_grammars() -> None:
    schema = {"type": "object", "properties": {}}

    assert generate("tgi-1.1", grammar={"type": "json", "value": schema}).schema is None
    assert generate("tgi-3", grammar={"type": "json", "value": schema}).schema == json.dumps(schema)
    named = {"type": "json_schema", "value": {"name": "x", "schema": schema}}
    assert generate("tgi-3", grammar=named).schema == json.dumps(schema)
    text = {"type": "json_object", "value": json.dumps(schema)}
    assert generate("tgi-3", grammar=text).schema == json.dumps(schema)
    constraint = generate("tgi-3", grammar={"type": "regex", "value": "a+"}).constraint
    assert constraint == ("regex", "a+")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (3, "grammar is not supported"),
        ("{", "grammar is not valid: "),
        ({"type": 3}, "grammar is not valid: 3 is not valid"),
        ({"type": "object"}, "grammar is not valid: Grammar must have a 'properties' field"),
    ],
)
def test_a_grammar_is_checked_in_tgis_words(value: Any, said: str) -> None:
    with pytest.raises(RequestRefused) as caught:
        generate("tgi-3", grammar={"type": "json", "value": value})

    assert str(caught.value).startswith(f"Input validation error: {said}")


@pytest.mark.parametrize(
    "grammar", [{}, {"type": "xml", "value": ""}, {"type": "regex", "value": 3}, {"type": [3]}]
)
def test_what_is_no_grammar_is_refused(grammar: Any) -> None:
    with pytest.raises(BodyRefused):
        generate("tgi-3", grammar=grammar)


def test_the_frequency_penalty_has_bounds_in_tgi_3_alone() -> None:
    with pytest.raises(RequestRefused, match="`frequency_penalty` must be >= -2"):
        generate("tgi-3", frequency_penalty=2.5)
    assert generate("tgi-1.1", frequency_penalty=2.5).frequency_penalty == 0


def test_the_scores_of_a_prompt_and_of_sequences_are_asked_of_the_engine() -> None:
    assert generate(decoder_input_details=True).prompt_logprobs == 0
    assert generate(best_of=2, do_sample=True).top_logprobs == 0
    assert generate().prompt_logprobs is generate().top_logprobs is None


LMI: dict[str, Any] = {
    "temperature": 0.5,
    "top_p": 1.0,
    "top_k": -1,
    "min_p": 0.1,
    "presence_penalty": 1.5,
    "frequency_penalty": -1,
    "repetition_penalty": 1.2,
    "stop_sequences": ["a"],
    "stop_token_ids": [5],
    "include_stop_str_in_output": True,
    "ignore_eos_token": True,
    "seed": 3,
}


def test_lmis_parameters_reach_the_engine() -> None:
    request = generate("lmi", **LMI)

    assert (request.temperature, request.top_p, request.top_k) == (0.5, 1.0, 0)
    assert (request.min_p, request.repetition_penalty) == (0.1, 1.2)
    assert (request.presence_penalty, request.frequency_penalty) == (1.5, -1.0)
    assert (request.stop, request.stop_tokens) == (("a",), (5,))
    assert (request.keeps_stop, request.ignores_eos, request.seed) == (True, True, 3)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"inputs": ""}, "The decoder prompt cannot be empty"),
        ({"temperature": -1}, "temperature must be in [0, 2], got -1."),
        ({"top_p": 2}, "top_p must be in (0, 1], got 2."),
        ({"min_p": 2}, "min_p must be in [0, 1], got 2."),
        ({"repetition_penalty": 0}, "repetition_penalty must be greater than zero, got 0."),
        ({"max_new_tokens": 0}, "max_tokens must be at least 1, got 0."),
        ({"n": 2}, "n must be 1 when using greedy sampling, got 2."),
        ({"n": 999, "do_sample": True}, "n must be at most 128, got 999."),
        ({"n": 2, "do_sample": True, "stream": True}, "n must be 1 when streaming tokens."),
        ({"num_beams": 2}, "num_beams is not supported where the model runs."),
        (
            {"stop_token_ids": [99_999]},
            (
                "token_id(s) [99999] in stop_token_ids contain out-of-vocab token ids. Vocabulary"
                " size: 32000"
            ),
        ),
    ],
)
def test_lmi_refuses_in_vllms_words(parameters: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RequestRefused) as caught:
        generate("lmi", **parameters)

    assert str(caught.value) == sentence
