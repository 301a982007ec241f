"""A request's sampling parameters, for vLLM and for its server."""

from dataclasses import asdict
from typing import Any

import orjson
import pytest

from engine.errors import EngineDead
from engine.protocol import GenerationRequest, Repetition
from engine.remote.completions import Step, encode_body, parse_event
from engine.tokenization.tokenizer import load_tokenizer
from engine.vllm.requests import to_prompt, to_sampling

# torch and vLLM warn of deprecations; elsewhere a warning is an error.
pytestmark = pytest.mark.filterwarnings("default")
TOKENIZER = load_tokenizer("v1")
ALL: dict[str, Any] = {
    "seed": 7,
    "top_k": 5,
    "top_p": 0.5,
    "temperature": 0.75,
    "frequency_penalty": 1.5,
    "presence_penalty": -0.5,
    "logit_bias": {7: -100.0},
    "min_p": 0.25,
    "repetition_penalty": 1.5,
    "min_tokens": 3,
}


def ask(**more: Any) -> GenerationRequest:
    return GenerationRequest(request_id="r", prompt=(1, 2), max_tokens=5, **more)


@pytest.mark.vllm
def test_they_reach_vllm() -> None:
    sampling = to_sampling(ask(**ALL, top_logprobs=3), TOKENIZER, structured=None)

    assert {name: getattr(sampling, name) for name in ALL} == ALL
    assert (sampling.logprobs, sampling.max_tokens, sampling.stop_token_ids) == (3, 5, [2])


MORE: dict[str, Any] = {
    "prompt_logprobs": 2,
    "bad_words": ("a", "b"),
    "repetition": Repetition(least=1, most=3, times=2),
}


@pytest.mark.vllm
def test_what_only_vllm_can_do_reaches_it() -> None:
    sampling = to_sampling(ask(**MORE), TOKENIZER, structured=None)

    assert sampling.prompt_logprobs == 2
    assert sampling.bad_words_token_ids == [[*TOKENIZER.encode(word)[1:]] for word in "ab"]
    assert asdict(sampling.repetition_detection) == PATTERN
    assert to_prompt(ask(cache_salt="x"))["cache_salt"] == "x"
    assert "cache_salt" not in to_prompt(ask())


def test_what_only_vllm_can_do_reaches_its_server() -> None:
    request = ask(**MORE, cache_salt="x")
    body = orjson.loads(encode_body(request, model="m", prompt=(1, 2), eos=2, structured=None))

    assert (body["bad_words"], body["cache_salt"]) == (["a", "b"], "x")
    assert body["repetition_detection"] == PATTERN


PATTERN = {"max_pattern_size": 3, "min_pattern_size": 1, "min_count": 2}


@pytest.mark.vllm
def test_what_is_not_asked_for_is_vllms_default() -> None:
    sampling = to_sampling(ask(), TOKENIZER, structured=None)

    assert (sampling.frequency_penalty, sampling.presence_penalty) == (0.0, 0.0)
    assert (sampling.logit_bias, sampling.logprobs, sampling.seed) == (None, None, None)


def test_they_reach_a_server() -> None:
    request = ask(**ALL, top_logprobs=3)
    body = orjson.loads(encode_body(request, model="m", prompt=(1, 2), eos=2, structured=None))

    assert {name: body[name] for name in ALL} == {**ALL, "logit_bias": {"7": -100.0}}
    assert (body["logprobs"], body["return_tokens_as_token_ids"]) == (3, True)


IDS = {"stop_tokens": (9, 10), "allowed_tokens": (7, 9)}


@pytest.mark.vllm
@pytest.mark.parametrize(("asked", "ends"), [({}, [2, 9, 10]), ({"ignores_eos": True}, [9, 10])])
def test_rules_on_token_ids_reach_vllm_and_a_server(asked: Any, ends: list[int]) -> None:
    request = ask(**IDS, **asked)
    sampling = to_sampling(request, TOKENIZER, structured=None)
    body = orjson.loads(encode_body(request, model="m", prompt=(1,), eos=2))

    assert (sampling.stop_token_ids, sampling.allowed_token_ids) == (ends, [7, 9])
    assert (body["stop_token_ids"], body["allowed_token_ids"]) == (ends, [7, 9])
    assert sampling.ignore_eos
    assert body["ignore_eos"]


def test_a_server_is_told_neutral_values() -> None:
    body = orjson.loads(encode_body(ask(), model="m", prompt=(1, 2), eos=2))

    assert (body["min_p"], body["repetition_penalty"], body["min_tokens"]) == (0.0, 1.0, 0)
    assert (body["stop_token_ids"], body["allowed_token_ids"]) == ([2], None)


def test_a_server_is_not_asked_for_what_is_not_wanted() -> None:
    body = orjson.loads(encode_body(ask(), model="m", prompt="Hi", eos=None))

    assert {"logit_bias", "logprobs", "seed", "return_tokens_as_token_ids"}.isdisjoint(body)
    assert (body["frequency_penalty"], body["presence_penalty"]) == (0.0, 0.0)


def event(logprobs: Any) -> bytes:
    choice = {"text": " A", "token_ids": [7], "finish_reason": None, "logprobs": logprobs}
    return orjson.dumps({"choices": [choice]})


def test_a_servers_log_probabilities_are_read_by_token_ids() -> None:
    top = {"token_id:5": -2.0, "token_id:7": -0.25}
    told = {"tokens": ["token_id:7"], "token_logprobs": [-0.25], "top_logprobs": [top]}

    asked = parse_event(event(told), ask(top_logprobs=2))

    assert asked == Step([7], " A", None, [[(7, -0.25), (7, -0.25), (5, -2.0)]])
    assert parse_event(event(told), ask()).rows == ()
    assert parse_event(event(None), ask(top_logprobs=2)).rows == []


@pytest.mark.parametrize(
    "told",
    [
        {"tokens": ["A"], "token_logprobs": [0.0], "top_logprobs": [{}]},
        {"tokens": ["token_id:-1"], "token_logprobs": [0.0], "top_logprobs": [{}]},
        {"tokens": ["token_id:7"], "token_logprobs": [], "top_logprobs": [{}]},
        {"tokens": ["token_id:7"], "token_logprobs": [None], "top_logprobs": [{}]},
        {"tokens": ["token_id:7"], "token_logprobs": [0.0], "top_logprobs": ["x"]},
        {"tokens": ["token_id:7"]},
        "x",
        7,
    ],
)
def test_what_are_no_log_probabilities_is_the_servers_fault(told: Any) -> None:
    with pytest.raises(EngineDead):
        parse_event(event(told), ask(top_logprobs=2))
