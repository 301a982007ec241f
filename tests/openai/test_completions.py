"""vLLM's `/v1/completions` without vLLM: models, choices, rules, faults, keys and refusals."""

import json
import re
from collections.abc import Iterator
from http.client import IncompleteRead
from pathlib import Path
from typing import Any

import pytest

from engine.errors import EngineDead
from invoke_api.testing import Bedrock, ExceptionName
from tests.openai.completion_requests import BAD, GOOD, PROMPT, STREAMED
from tests.openai.test_chat import read_events, send
from tests.support.metrics import CALLS, Scrape
from tests.support.servers import (
    BASE,
    BASE_WEIGHTS,
    COMMAND,
    LARGE,
    LARGE_3,
    SEVEN_B,
    command_running,
    connect,
    engine_running,
    wait_until_ready,
)
from tests.support.stubs import StubEngine
from tests.support.waiting import until

PATH = "/v1/completions"
ASKED = {"model": BASE_WEIGHTS, "prompt": PROMPT, "max_tokens": 25}


def complete(bedrock: Bedrock, **more: Any) -> dict[str, Any]:
    status, _, raw = send(bedrock, PATH, {**ASKED, **more})
    answer: dict[str, Any] = json.loads(raw)
    assert status == 200, answer
    return answer


def stream(bedrock: Bedrock, **more: Any) -> list[Any]:
    status, headers, raw = send(bedrock, PATH, {**ASKED, "stream": True, **more})
    assert (status, headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8"), raw
    return read_events(raw)


def refuse(bedrock: Bedrock, body: Any, **more: Any) -> tuple[int, dict[str, Any]]:
    status, headers, raw = send(bedrock, PATH, body, **more)
    assert headers["Content-Type"] == "application/json"
    [(key, error)] = json.loads(raw).items()
    assert key == "error"
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["code"] == status
    return status, error


def test_the_curl_of_mistrals_documentation_is_answered(bedrock: Bedrock) -> None:
    bedrock.reply(" mustard.", operation="Completions", prompt="condiment")

    status, headers, raw = send(bedrock, PATH, ASKED)
    [call] = bedrock.requests

    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert re.fullmatch(
        '{"id":"cmpl-[0-9a-f]{16}","object":"text_completion","created":[0-9]{10},'
        f'"model":"{BASE_WEIGHTS}","choices":\\[{{"index":0,"text":" mustard.","logprobs":null,'
        '"finish_reason":"stop","stop_reason":null,"token_ids":null,"prompt_logprobs":null,'
        '"prompt_token_ids":null,"routed_experts":null}],"service_tier":null,'
        '"system_fingerprint":null,"usage":{"prompt_tokens":6,"total_tokens":[0-9]+,'
        '"completion_tokens":[0-9],"prompt_tokens_details":null,"completion_tokens_details":null},'
        '"kv_transfer_params":null,"ec_transfer_params":null,"metrics":null}',
        raw.decode(),
    )
    assert (call["operation"], call["model_id"], call["identifier"]) == (
        "Completions",
        BASE,
        BASE_WEIGHTS,
    )
    assert (call["status"], call["ended"], call["engine"]) == (200, "stop", "rule")
    assert (call["text"], call["input_tokens"]) == (" mustard.", 6)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        (BASE, BASE),
        (SEVEN_B, SEVEN_B),
        ("mistralai/Mistral-7B-Instruct-v0.2", SEVEN_B),
        ("mistralai/Mistral-Large-Instruct-2407", "mistral.mistral-large-2407-v1:0"),  # no stand-in
        (LARGE, LARGE),
        (LARGE_3, LARGE_3),
    ],
)
def test_a_model_is_named_by_its_id_or_its_weights(bedrock: Bedrock, name: str, model: str) -> None:
    answer = complete(bedrock, model=name)
    [call] = bedrock.requests

    assert answer["model"] == name
    assert (call["model_id"], call["identifier"]) == (model, name)


@pytest.mark.parametrize("name", ["gpt-4o", "", None])
def test_an_unknown_model_is_not_found(bedrock: Bedrock, name: str | None) -> None:
    status, error = refuse(bedrock, {**ASKED, "model": name})

    assert (status, error["type"], error["param"]) == (404, "NotFoundError", "model")
    assert error["message"].startswith(f"The model `{name or None}` does not exist. Valid aliases:")
    assert BASE_WEIGHTS in error["message"]


def test_bedrocks_own_operations_do_not_know_the_base_model(bedrock: Bedrock) -> None:
    status, _, raw = send(bedrock, f"/model/{BASE}/invoke", {"prompt": "Hi"})
    _, _, chat = send(bedrock, "/v1/chat/completions", {"model": BASE, "messages": []})
    _, _, listed = send(bedrock, "/v1/models", b"", method="GET")

    assert (status, json.loads(raw)) == (
        400,
        {"message": "The provided model identifier is invalid."},
    )
    assert json.loads(chat)["error"]["message"] == f"The model '{BASE}' does not exist"
    assert len(json.loads(listed)["data"]) == 8
    assert BASE not in listed.decode()


def test_bedrock_runtime_has_no_such_path(bedrock: Bedrock) -> None:
    host = {"Host": "bedrock-runtime.us-east-1.amazonaws.com"}
    status, _, raw = send(bedrock, PATH, ASKED, host)

    assert status == 200
    assert b"UnknownOperationException" in raw


def test_each_prompt_has_n_choices_and_counts_once(bedrock: Bedrock) -> None:
    answer = complete(bedrock, prompt=["Hi", "Good day to you"], n=3, max_tokens=4)
    [call] = bedrock.requests
    texts = [choice["text"] for choice in answer["choices"]]

    assert [choice["index"] for choice in answer["choices"]] == [*range(6)]
    assert len({*texts[:3]}) == len({*texts[3:]}) == 1
    assert texts[0] != texts[3]
    usage = answer["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (2 + 5, 6 * 4)
    assert (call["input_tokens"], call["output_tokens"], call["ended"]) == (7, 24, "length")


def test_many_prompts_are_answered_in_order(bedrock: Bedrock) -> None:
    prompts = [f"Number {number}" for number in range(200)]
    answer = complete(bedrock, prompt=prompts, echo=True, max_tokens=2)
    streamed = stream(bedrock, prompt=prompts, max_tokens=2, stream_options={"include_usage": True})

    assert all(
        choice["text"].startswith(f"{prompt} ")
        for choice, prompt in zip(answer["choices"], prompts, strict=True)
    )
    *chunks, usage, done = streamed
    assert {chunk["choices"][0]["index"] for chunk in chunks} == {*range(200)}
    assert (usage["usage"]["completion_tokens"], done) == (400, "[DONE]")


def test_too_many_choices_are_refused(bedrock: Bedrock) -> None:
    status, error = refuse(bedrock, {**ASKED, "prompt": ["a"] * 1_000, "n": 2})

    assert (status, error["type"]) == (400, "BadRequestError")
    assert error["message"].startswith("This server answers at most 1024 choices in one request")


def test_a_stream_is_cut_into_tokens(bedrock: Bedrock) -> None:
    bedrock.reply(" It rains.")
    *chunks, last, usage, done = stream(
        bedrock, stream_options={"include_usage": True, "continuous_usage_stats": True}
    )
    [call] = bedrock.requests
    texts = [chunk["choices"][0]["text"] for chunk in [*chunks, last]]

    assert texts == [" It", " r", "ains", ".", ""]
    assert [chunk["usage"]["completion_tokens"] for chunk in [*chunks, last]] == [*range(1, 6)]
    assert last["choices"][0]["finish_reason"] == "stop"
    assert (usage["choices"], usage["usage"]["completion_tokens"]) == ([], call["output_tokens"])
    assert len({event["id"] for event in [*chunks, last, usage]}) == 1
    assert done == "[DONE]"


@pytest.mark.parametrize(
    ("headers", "more", "expected"),
    [
        ({}, {"request_id": "mine"}, "cmpl-mine"),
        ({"X-Request-Id": "header"}, {"request_id": "mine"}, "cmpl-header"),
    ],
)
def test_an_answer_may_have_the_clients_id(
    bedrock: Bedrock, headers: dict[str, str], more: dict[str, str], expected: str
) -> None:
    _, _, raw = send(bedrock, PATH, {**ASKED, **more}, headers)

    assert json.loads(raw)["id"] == expected


UNSUPPORTED = [
    ({"use_beam_search": True}, "use_beam_search"),
    ({"logprobs": 1, "logprob_token_ids": [5]}, "logprob_token_ids"),
]


@pytest.mark.parametrize(("more", "parameter"), UNSUPPORTED, ids=lambda value: str(value)[:40])
def test_what_reaches_no_engine_is_refused(
    bedrock: Bedrock, more: dict[str, Any], parameter: str
) -> None:
    status, error = refuse(bedrock, {**ASKED, **more})

    assert (status, error["param"]) == (400, parameter)
    assert error["message"].startswith("This server does not support `")


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_a_bad_request_is_told_in_vllms_shape(
    bedrock: Bedrock, name: str, *, streams: bool
) -> None:
    bad = BAD[name]
    usual = {**ASKED, "max_tokens": 6, "temperature": 0, **({"stream": True} if streams else {})}
    body = bad if isinstance(bad, bytes) else {**usual, **bad}
    if isinstance(body, dict) and body["prompt"] == [1] * 4_096:
        body["prompt"] = [1] * 32_768
    status, headers, raw = send(bedrock, PATH, body)

    if headers["Content-Type"] != "application/json":
        first, *_, done = read_events(raw)
        assert (status, done) == (200, "[DONE]")
        status = first["error"]["code"] if "error" in first else 200
    assert status in (400, 404) or (status == 200 and name in FITS), raw


# The models of this service have a longer context than the table's.
FITS = {
    "a long prompt",
    "a longer prompt",
    "a much longer prompt",
    "cut to more than the context",
    "max_tokens above the context",
    "options of a stream",  # which is one here
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_request_is_answered_by_the_scripted_engine(bedrock: Bedrock, name: str) -> None:
    status, _, raw = send(bedrock, PATH, {**ASKED, **GOOD[name]})

    if status != 200:  # only vLLM holds an answer to these
        assert "where it runs" in json.loads(raw)["error"]["message"]
        assert name.startswith(("a regular expression", "a grammar", "a structural tag"))


@pytest.mark.parametrize("name", STREAMED)
def test_streams_of_the_scripted_engine_end(bedrock: Bedrock, name: str) -> None:
    status, _, raw = send(bedrock, PATH, {**ASKED, "stream": True, **STREAMED[name]})

    assert status == 400 or read_events(raw)[-1] == "[DONE]"


@pytest.mark.parametrize(
    ("body", "headers", "sentence"),
    [
        (b"\xff", {}, "There was an error parsing the body"),
        (b'{"prompt":"\\ud800"}', {}, "There was an error parsing the body"),
        (b'{"prompt":"a","x":' + b"[" * 5_000 + b"]" * 5_000 + b"}", {}, "There was an error"),
        (b"{}", {"Content-Type": "text/plain"}, "Unsupported Media Type"),
    ],
    ids=["no UTF-8", "half a character", "too deep", "text"],
)
def test_a_body_that_is_no_json_is_refused(
    bedrock: Bedrock, body: bytes, headers: dict[str, str], sentence: str
) -> None:
    status, error = refuse(bedrock, body, headers=headers)

    assert status == 400
    assert sentence in error["message"]


FAULTS = [
    ("ThrottlingException", 429, "Too Many Requests"),
    ("ValidationException", 400, "BadRequestError"),
    ("ResourceNotFoundException", 404, "NotFoundError"),
    ("AccessDeniedException", 403, "Forbidden"),
    ("ServiceUnavailableException", 503, "Service Unavailable"),
    ("InternalServerException", 500, "InternalServerError"),
    ("ModelErrorException", 500, "InternalServerError"),
    ("ModelTimeoutException", 408, "Request Timeout"),
]


@pytest.mark.parametrize(("error", "status", "kind"), FAULTS)
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_a_fault_has_vllms_shape(
    bedrock: Bedrock, error: ExceptionName, status: int, kind: str, *, streams: bool
) -> None:
    bedrock.fail(error, message="No.", operation="Completions")

    told = refuse(bedrock, {**ASKED, "stream": streams})

    assert told == (status, {"message": "No.", "type": kind, "param": None, "code": status})


def test_a_fault_within_a_stream_is_its_last_event(bedrock: Bedrock) -> None:
    bedrock.fail("ThrottlingException", reply=" It rains.", after_tokens=2)
    *chunks, error, done = stream(bedrock)
    [call] = bedrock.requests

    assert [chunk["choices"][0]["text"] for chunk in chunks] == [" It", " r"]
    assert (error["error"]["code"], done) == (429, "[DONE]")
    assert (call["status"], call["error"]["type"]) == (200, "ThrottlingException")


def test_a_stream_can_be_cut(bedrock: Bedrock) -> None:
    bedrock.fail("cut", reply=" It rains.", after_tokens=2)

    with pytest.raises(IncompleteRead):
        stream(bedrock)


def test_calls_are_counted_by_their_operation(bedrock: Bedrock) -> None:
    before = Scrape(bedrock.url).sum(CALLS, operation="Completions", model_id=BASE)
    complete(bedrock, n=2)

    assert Scrape(bedrock.url).sum(CALLS, operation="Completions", model_id=BASE) == before + 1


def test_a_wrong_key_is_unauthorized(signed_service: str) -> None:
    emulated = Bedrock(signed_service)
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        status, _, raw = send(emulated, PATH, ASKED, {"Authorization": "", **headers})

        assert (status, json.loads(raw)) == (401, {"error": "Unauthorized"})


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Bedrock]:
    """Yield a service of one model, with quotas: two requests and 100 tokens a minute."""
    file = tmp_path / "registry.yaml"
    file.write_text(
        f"""models:
  - id: base
    name: Base
    catalogued: false
    dialect: imported
    quotas: {{requests_per_minute: 2, tokens_per_minute: 1000}}
    tokenizer: v1
    context_length: 4096
    engine: scripted
    weights: {BASE_WEIGHTS}
    demo: dense
"""
    )
    with command_running([*COMMAND, "--quotas", "--registry", str(file)]) as url:
        wait_until_ready(url, seconds=30)
        yield Bedrock(url)


def test_quotas_apply_and_no_name_is_the_only_model(limited: Bedrock) -> None:
    asked = {"prompt": ["Hi"] * 10, "max_tokens": 80}
    status, _, raw = send(limited, PATH, asked)
    second, error = refuse(limited, asked)

    assert (status, json.loads(raw)["model"]) == (200, BASE_WEIGHTS)
    assert (second, error["type"]) == (429, "Too Many Requests")  # 10 * 80 tokens are reserved


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_a_disconnect_cancels_all_choices(*, streams: bool) -> None:
    engine = StubEngine([" a"] * 10_000, pause=0.01)
    body = {"prompt": ["Hi", "Ho"], "n": 2, "max_tokens": 9_000, "stream": streams}
    with engine_running(engine) as url:
        connection = connect(url)
        headers = {"Content-Type": "application/json"}
        connection.request("POST", PATH, json.dumps(body), headers)
        until(lambda: engine.running() == 4, seconds=5)
        connection.close()

        until(lambda: engine.running() == 0, seconds=5)


def test_an_engine_that_dies_ends_the_stream_with_an_error() -> None:
    engine = StubEngine([" a"] * 3, error=EngineDead("gone"))
    with engine_running(engine) as url:
        *chunks, error, done = read_events(
            send(Bedrock(url), PATH, {"prompt": "Hi", "max_tokens": 9, "stream": True})[2]
        )

    assert len(chunks) == 3
    assert (error["error"]["type"], error["error"]["code"]) == ("Service Unavailable", 503)
    assert done == "[DONE]"
