"""Chat Completions on both hosts: to the byte, by rules, by guardrails, and in every error."""

import json
import re
from collections.abc import Mapping
from http.client import HTTPConnection, IncompleteRead
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from invoke_api.testing import Bedrock, Break, ToolCall
from tests.support.images import png, to_url
from tests.support.servers import MINISTRAL_3B, SEVEN_B, VOXTRAL_MINI
from tests.support.sounds import to_base64, tone

MODEL = MINISTRAL_3B
RUNTIME, MANTLE = "/openai/v1/chat/completions", "/v1/chat/completions"
both = pytest.mark.parametrize("path", [RUNTIME, MANTLE])
USER = {"role": "user", "content": "How is the weather?"}
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CALL: ToolCall = {"name": "get_weather", "arguments": {"city": "Zürich", "days": 1.5}}
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
NO_MODEL = (
    "The model doesn't exist or doesn't support this API. Retry your request with a different model"
    " ID."
)


def send(
    bedrock: Bedrock,
    path: str,
    body: object,
    headers: Mapping[str, str] | None = None,
    method: str = "POST",
) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of an answer."""
    connection = HTTPConnection(urlsplit(bedrock.url).netloc, timeout=30)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {
        "Authorization": f"Bearer {bedrock.access_key_id}",
        "Content-Type": "application/json",
        "Content-Length": str(len(raw)),
        "Host": urlsplit(bedrock.url).netloc,
        **(headers or {}),
    }
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in given.items():
            connection.putheader(name, value)
        connection.endheaders(raw)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def chat(bedrock: Bedrock, path: str, **body: Any) -> dict[str, Any]:
    status, _, raw = send(bedrock, path, {"model": MODEL, "messages": [USER], **body})
    answer: dict[str, Any] = json.loads(raw)
    assert status == 200, answer
    return answer


def read_events(raw: bytes) -> list[Any]:
    """Return the JSON of each event; `[DONE]` as it is."""
    assert raw.endswith(b"\n\n")
    events = raw.decode().removesuffix("\n\n").split("\n\n")
    assert all(event.startswith("data: ") for event in events)
    texts = [event.removeprefix("data: ") for event in events]
    return [text if text == "[DONE]" else json.loads(text) for text in texts]


def stream(bedrock: Bedrock, path: str, **body: Any) -> list[Any]:
    asked = {"model": MODEL, "messages": [USER], "stream": True, **body}
    status, headers, raw = send(bedrock, path, asked)
    assert (status, headers["Content-Type"]) == (200, "text/event-stream"), raw
    return read_events(raw)


def error_of(answer: tuple[int, Mapping[str, str], bytes]) -> tuple[int, dict[str, Any]]:
    status, headers, raw = answer
    assert headers["Content-Type"] == "application/json"
    [(key, error)] = json.loads(raw).items()
    assert key == "error"
    return status, error


@both
def test_an_answer_has_the_recorded_bytes(bedrock: Bedrock, path: str) -> None:
    bedrock.reply("Cloudy.")

    status, headers, raw = send(bedrock, path, {"model": MODEL, "messages": [USER]})
    [call] = bedrock.requests

    assert status == 200
    assert headers["Content-Type"] == "application/json"
    assert re.fullmatch(
        '{"choices":\\[{"finish_reason":"stop","index":0,"logprobs":null,"message":{"content":'
        '"Cloudy.","refusal":null,"role":"assistant"}}\\],"created":\\d{10},"id":"chatcmpl-'
        f'{UUID}","model":"{MODEL}","object":"chat.completion","service_tier":"default","usage":'
        f'{{"completion_tokens":{call["output_tokens"]},"prompt_tokens":{call["input_tokens"]},'
        f'"total_tokens":{call["output_tokens"] + call["input_tokens"]}}}}}',
        raw.decode(),
    )
    assert (call["operation"], call["model_id"], call["identifier"]) == (
        "ChatCompletions",
        MODEL,
        MODEL,
    )
    assert (call["status"], call["ended"], call["engine"]) == (200, "stop", "rule")


def test_mantle_has_the_recorded_headers(bedrock: Bedrock) -> None:
    _, headers, _ = send(bedrock, MANTLE, {"model": MODEL, "messages": [USER]})

    assert headers["x-request-id"] == headers["x-amzn-RequestId"]
    assert headers["access-control-allow-origin"] == "*"
    assert headers["vary"].startswith("origin, ")


@both
def test_a_stream_ends_with_a_reason_the_counts_and_done(bedrock: Bedrock, path: str) -> None:
    bedrock.reply("It rains.")

    *chunks, reason, usage, done = stream(bedrock, path, stream_options={"include_usage": True})
    [call] = bedrock.requests
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]

    assert deltas[0] == {"content": "", "role": "assistant"}
    assert "".join(delta["content"] for delta in deltas) == "It rains."
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in [*chunks, reason, usage]}) == 1
    assert {chunk["usage"] for chunk in chunks} == {None}
    assert reason["choices"][0]["delta"] == {}
    assert reason["choices"][0]["finish_reason"] == "stop"
    assert usage["choices"] == []
    assert usage["usage"] == {
        "completion_tokens": call["output_tokens"],
        "prompt_tokens": call["input_tokens"],
        "total_tokens": call["input_tokens"] + call["output_tokens"],
    }
    assert done == "[DONE]"


@both
def test_a_stream_has_no_counts_unless_it_is_asked_for_them(bedrock: Bedrock, path: str) -> None:
    *chunks, _ = stream(bedrock, path, max_tokens=3)

    assert chunks[-1]["choices"][0]["finish_reason"] == "length"
    assert not any("usage" in chunk for chunk in chunks)


@both
def test_a_whole_tool_loop(bedrock: Bedrock, path: str) -> None:
    bedrock.reply("It is warm.", prompt={"regex": "7 degrees"})
    bedrock.rule(reply={"tool_calls": [CALL, CALL]}, times=1)

    [choice] = chat(bedrock, path, tools=[TOOL])["choices"]
    message = choice["message"]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "7 degrees"}
        for call in message["tool_calls"]
    ]
    [last] = chat(bedrock, path, tools=[TOOL], messages=[USER, message, *results])["choices"]

    assert choice["finish_reason"] == "tool_calls"
    assert message["content"] is None
    assert len({call["id"] for call in message["tool_calls"]}) == 2
    for call in message["tool_calls"]:
        assert re.fullmatch("chatcmpl-tool-[0-9a-f]{32}", call["id"])
        assert call["function"]["name"] == "get_weather"
        assert json.loads(call["function"]["arguments"]) == CALL["arguments"]
    assert last["message"]["content"] == "It is warm."


@both
def test_a_streamed_call_has_an_index(bedrock: Bedrock, path: str) -> None:
    bedrock.rule(reply={"text": "I look.", "tool_calls": [CALL]})

    *_, call, reason, done = stream(bedrock, path, tools=[TOOL])
    [told] = call["choices"][0]["delta"]["tool_calls"]

    assert (told["index"], told["type"]) == (0, "function")
    assert json.loads(told["function"]["arguments"]) == CALL["arguments"]
    assert reason["choices"][0]["finish_reason"] == "tool_calls"
    assert done == "[DONE]"


@both
@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "get_weather"}}]
)
def test_a_tool_can_be_forced(bedrock: Bedrock, path: str, choice: Any) -> None:
    [answer] = chat(bedrock, path, tools=[TOOL], tool_choice=choice)["choices"]

    assert answer["finish_reason"] == "tool_calls"
    assert answer["message"]["tool_calls"][0]["function"]["name"] == "get_weather"


@both
def test_parallel_calls_can_be_switched_off(bedrock: Bedrock, path: str) -> None:
    bedrock.rule(reply={"tool_calls": [CALL, CALL]})

    [answer] = chat(bedrock, path, tools=[TOOL], parallel_tool_calls=False)["choices"]

    assert len(answer["message"]["tool_calls"]) == 1


@both
def test_an_answer_can_be_held_to_a_schema(bedrock: Bedrock, path: str) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}}

    [answer] = chat(bedrock, path, response_format=form)["choices"]
    [free] = chat(bedrock, path, response_format={"type": "json_object"})["choices"]

    assert isinstance(json.loads(answer["message"]["content"])["n"], int)
    assert isinstance(json.loads(free["message"]["content"]), dict)


@both
def test_log_probabilities_have_openais_form(bedrock: Bedrock, path: str) -> None:
    [answer] = chat(bedrock, path, logprobs=True, top_logprobs=1, max_tokens=3)["choices"]
    *chunks, _, _ = stream(bedrock, path, logprobs=True, max_tokens=3)

    told = answer["logprobs"]["content"]
    assert len(told) == 3
    assert bytes(told[0]["bytes"]).decode() == told[0]["token"]
    assert len(told[0]["top_logprobs"]) == 1
    assert sum(len((chunk["choices"][0]["logprobs"] or {}).get("content", [])) for chunk in chunks)


@both
def test_images_and_speech_are_read(bedrock: Bedrock, path: str) -> None:
    parts = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": to_url(png())}},
    ]
    seen = chat(bedrock, path, messages=[{"role": "user", "content": parts}])
    sound = {"data": to_base64(tone()), "format": "wav"}
    heard = chat(
        bedrock,
        path,
        model=VOXTRAL_MINI,
        messages=[{"role": "user", "content": [{"type": "input_audio", "input_audio": sound}]}],
    )

    assert seen["usage"]["prompt_tokens"] > 4
    assert heard["usage"]["prompt_tokens"] > 4


@pytest.mark.parametrize(
    ("path", "error"),
    [
        (
            RUNTIME,
            {
                "message": NO_MODEL,
                "type": "not_found_error",
                "param": None,
                "code": "model_not_found",
            },
        ),
        (
            MANTLE,
            {
                "code": "not_found_error",
                "message": "The model 'NAME' does not exist",
                "type": "invalid_request_error",
            },
        ),
    ],
)
@pytest.mark.parametrize("name", ["gpt-4o", SEVEN_B, "us.mistral.pixtral-large-2502-v1:0"])
def test_a_model_that_is_not_served_is_not_found(
    bedrock: Bedrock, path: str, error: dict[str, Any], name: str
) -> None:
    told = error_of(send(bedrock, path, {"model": name, "messages": [USER]}))

    assert told == (404, {**error, "message": error["message"].replace("NAME", name)})


@both
def test_a_long_name_is_cut(bedrock: Bedrock, path: str) -> None:
    status, _, raw = send(bedrock, path, {"model": "m" * 100_000, "messages": [USER]})
    [call] = bedrock.requests

    assert status == 404
    assert len(raw) < 3_000
    assert len(call["identifier"]) == 2_048


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"temperature": 5}, "temperature must be in [0, 2], got 5."),
    ({"n": 2}, "'n' is not supported for values greater than 1"),
    ({"messages": "x"}, "Failed to deserialize the JSON body"),
    ({"messages": []}, ""),
    ({"messages": [{"role": "wizard", "content": "x"}]}, "wizard"),
    ({"strange": 1}, "unknown variant `strange`"),
    ({"service_tier": "reserved"}, ""),
    ({"tool_choice": "required"}, "`tools` must be set"),
    ({"max_tokens": 0}, "max_tokens must be at least 1, got 0."),
    ({"model": 7}, "missing field `model`"),
]


@both
@pytest.mark.parametrize("more", [{}, {"stream": True}], ids=["whole", "stream"])
@pytest.mark.parametrize(("wrong", "sentence"), WRONG, ids=lambda value: str(value)[:30])
def test_a_wrong_parameter_is_told_in_the_hosts_shape(
    bedrock: Bedrock, path: str, more: dict[str, Any], wrong: dict[str, Any], sentence: str
) -> None:
    body = {"model": MODEL, "messages": [USER], **more, **wrong}
    status, error = error_of(send(bedrock, path, body))

    assert status == 400
    assert sentence in error["message"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "validation_error")
    assert ("param" in error) is (path == RUNTIME)


@both
def test_stream_options_are_for_streams(bedrock: Bedrock, path: str) -> None:
    body = {"model": MODEL, "messages": [USER], "stream_options": {"include_usage": True}}
    status, error = error_of(send(bedrock, path, body))

    assert status == 400
    assert "Stream options can only be defined when `stream=True`." in error["message"]


@both
@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"model": 1}', b'{"a": 1, "a": 2}', b"\xff"])
def test_what_is_no_request_is_refused(bedrock: Bedrock, path: str, raw: bytes) -> None:
    status, error = error_of(send(bedrock, path, raw))

    assert status == 400
    assert error["type"] == "invalid_request_error"


@both
def test_a_fault_has_openais_status_and_is_retried(bedrock: Bedrock, path: str) -> None:
    bedrock.fail("ThrottlingException", operation="ChatCompletions", times=1)

    status, error = error_of(send(bedrock, path, {"model": MODEL, "messages": [USER]}))

    assert (status, error["code"]) == (429, "rate_limit_exceeded")
    assert chat(bedrock, path)["object"] == "chat.completion"
    assert [call["status"] for call in bedrock.requests] == [429, 200]


@both
def test_a_stream_that_fails_ends_with_an_error(bedrock: Bedrock, path: str) -> None:
    bedrock.fail("InternalServerException", reply="It will be sunny.", after_tokens=2)

    *chunks, error = stream(bedrock, path)
    [call] = bedrock.requests

    assert len(chunks) == 3  # the first has the role
    assert error["error"]["type"] == "server_error"
    assert (call["status"], call["ended"]) == (200, "error")


@both
@pytest.mark.parametrize("kind", ["cut", "torn_frame"])
def test_a_stream_can_break(bedrock: Bedrock, path: str, kind: Break) -> None:
    bedrock.fail(kind, reply="It will be sunny.", after_tokens=2)

    with pytest.raises(IncompleteRead) as broken:
        stream(bedrock, path)

    assert b"DONE" not in broken.value.partial
    assert broken.value.partial.endswith(b"\n\n") is (kind == "cut")


def test_a_guardrail_stands_before_runtime_alone(bedrock: Bedrock) -> None:
    headers = {
        "X-Amzn-Bedrock-GuardrailIdentifier": "abcdef123456",
        "X-Amzn-Bedrock-GuardrailVersion": "DRAFT",
    }
    body = {"model": MODEL, "messages": [{"role": "user", "content": "A cactus?"}]}

    _, _, blocked = send(bedrock, RUNTIME, body, headers)
    _, _, told = send(bedrock, RUNTIME, {**body, "stream": True}, headers)
    _, _, ignored = send(bedrock, MANTLE, body, headers)
    answer = json.loads(blocked)
    texts = [
        chunk["choices"][0]["delta"].get("content", "")
        for chunk in read_events(told)
        if chunk != "[DONE]"
    ]

    assert answer["choices"][0]["message"]["content"] == "You shouldn't ask this question"
    assert re.fullmatch("bedrock-guardrails-[0-9a-f]{8}", answer["id"])
    assert answer["usage"]["prompt_tokens"] == 0
    assert "".join(texts) == "You shouldn't ask this question"
    assert "Scripted answer" in json.loads(ignored)["choices"][0]["message"]["content"]


def test_runtimes_host_has_no_path_of_mantles(bedrock: Bedrock) -> None:
    host = {"Host": "bedrock-runtime.us-east-1.amazonaws.com"}
    body = {"model": MODEL, "messages": [USER]}

    for method, path in (("POST", MANTLE), ("POST", "/v1/responses"), ("GET", "/v1/models")):
        status, _, raw = send(bedrock, path, body, host, method)

        assert status == 200
        assert b"UnknownOperationException" in raw
    assert send(bedrock, RUNTIME, body, host)[0] == 200


def test_mantle_lists_the_eight_models(bedrock: Bedrock) -> None:
    status, _, raw = send(bedrock, "/v1/models", b"", method="GET")
    models = json.loads(raw)

    assert (status, models["object"]) == (200, "list")
    assert len(models["data"]) == 8
    mini = next(model for model in models["data"] if model["id"] == VOXTRAL_MINI)
    assert mini == {
        "created": 1764460800,
        "data_retention": {
            "allowed_modes": ["provider_data_share", "none", "default"],
            "mode": "default",
            "source": "model_default",
        },
        "id": VOXTRAL_MINI,
        "object": "model",
        "owned_by": "system",
        "status": "available",
    }
    assert json.loads(send(bedrock, f"/v1/models/{VOXTRAL_MINI}", b"", method="GET")[2]) == mini
    assert send(bedrock, "/v1/models/gpt-4", b"", method="GET")[0] == 404


@pytest.mark.parametrize(
    "path", ["/v1/responses", "/anthropic/v1/messages", "/anthropic/v1/messages/count_tokens"]
)
def test_other_apis_are_refused_in_the_recorded_sentence(bedrock: Bedrock, path: str) -> None:
    status, error = error_of(send(bedrock, path, {"model": MODEL, "input": "Hi"}))
    short = path.removeprefix("/anthropic")

    assert (status, error) == (
        400,
        {
            "code": "validation_error",
            "message": f"The model '{MODEL}' does not support the '{short}' API",
            "type": "invalid_request_error",
        },
    )
    assert error_of(send(bedrock, path, {"model": "gpt-5", "input": "Hi"}))[0] == 404


def test_runtimes_responses_are_not_found(bedrock: Bedrock) -> None:
    status, error = error_of(send(bedrock, "/openai/v1/responses", {"model": MODEL, "input": "x"}))

    assert (status, error["message"]) == (404, NO_MODEL)


@pytest.mark.parametrize(
    ("path", "service", "status"),
    [
        (RUNTIME, "bedrock", 200),
        (RUNTIME, "bedrock-mantle", 200),
        (MANTLE, "bedrock", 200),
        (MANTLE, "bedrock-mantle", 200),
        (MANTLE, "s3", 401),
    ],
)
def test_signatures_are_for_the_services_of_the_host(
    signed_service: str, path: str, service: str, status: int
) -> None:
    body = json.dumps({"model": MODEL, "messages": [USER]}).encode()
    request = AWSRequest("POST", signed_service + path, data=body)
    keys = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    SigV4Auth(keys, service, "us-east-1").add_auth(request)

    answer = send(Bedrock(signed_service), path, body, dict(request.headers.items()))

    assert answer[0] == status, answer
    if status != 200:
        assert error_of(answer)[1]["code"] == "invalid_api_key"


def test_a_test_has_a_client_of_openais(bedrock: Bedrock) -> None:
    bedrock.reply("Hello.")

    with bedrock.openai() as client:
        answer = client.chat.completions.create(model=MODEL, messages=[USER])

    assert answer.choices[0].message.content == "Hello."
    assert [call["access_key_id"] for call in bedrock.requests] == [bedrock.access_key_id]


@both
def test_an_engine_says_the_same_whole_and_in_a_stream(service: str, path: str) -> None:
    bedrock = Bedrock(service)
    body = {"temperature": 0, "max_tokens": 8}
    whole = chat(bedrock, path, **body)
    *chunks, usage, _ = stream(bedrock, path, stream_options={"include_usage": True}, **body)
    texts = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks]

    assert "".join(texts) == whole["choices"][0]["message"]["content"]
    assert usage["usage"] == whole["usage"]
    assert whole["usage"]["completion_tokens"] <= 8


def test_log_probabilities_do_not_show_what_a_guardrail_removes(bedrock: Bedrock) -> None:
    headers = {
        "X-Amzn-Bedrock-GuardrailIdentifier": "abcdef123456",
        "X-Amzn-Bedrock-GuardrailVersion": "DRAFT",
    }
    bedrock.reply("Write to jane@example.com about it.")
    for more in ({}, {"stream": True}):
        body = {"model": MODEL, "messages": [USER], "logprobs": True, **more}
        status, error = error_of(send(bedrock, RUNTIME, body, headers))

        assert status == 400
        assert "'logprobs' is not supported with a guardrail" in error["message"]


@both
def test_a_call_of_a_tool_that_was_not_offered_is_a_call(bedrock: Bedrock, path: str) -> None:
    bedrock.reply('[TOOL_CALLS]get_weather[ARGS]{"city": "Oslo"}')  # as a model writes it

    [answer] = chat(bedrock, path)["choices"]

    assert answer["finish_reason"] == "tool_calls"
    assert answer["message"]["tool_calls"][0]["function"]["name"] == "get_weather"
