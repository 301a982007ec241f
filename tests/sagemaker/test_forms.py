"""Bodies of chats and of completions on the containers' path, and answers of several sequences."""

import json
from typing import Any

import pytest

from invoke_api.testing import Bedrock
from tests.sagemaker.calls import ASKED, invoke, parts, refusal, stream

CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello"}]}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CALLED = {"tools": [WEATHER], "tool_choice": "required"}
NO_FORM = (
    "Failed to deserialize the JSON body into the target type: data did not match any variant of"
    " untagged enum SagemakerRequest"
)
PROMPTED: dict[str, Any] = {"prompt": ["Say a", "Say b"], "max_tokens": 2}


@pytest.fixture(autouse=True)
def _reset(others: Bedrock) -> None:
    others.reset()


def whole(bedrock: Bedrock, body: Any, name: str) -> Any:
    return json.load(invoke(bedrock, body, name)["Body"])


def events_of(bedrock: Bedrock, body: Any, name: str = "tgi-3") -> list[Any]:
    """Return the documents of a stream of TGI's, whose last event is `[DONE]`."""
    data = b"".join(parts(stream(bedrock, {**body, "stream": True}, name)))
    *told, done, rest = data.split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    return [json.loads(event.removeprefix(b"data: ")) for event in told]


def test_the_likeliest_of_two_sequences_answers(others: Bedrock) -> None:
    others.reply(" one two")
    asked = {**ASKED, "parameters": {"best_of": 2, "do_sample": True, "details": True}}

    [answer] = whole(others, asked, "narrow")
    details = answer["details"]
    [other] = details["best_of_sequences"]

    assert answer["generated_text"] == other["generated_text"] == " one two"
    assert details["seed"] != other["seed"]
    assert [token["text"] for token in other["tokens"]] == [" one", " two", "</s>"]


def test_the_prompts_tokens_are_told(others: Bedrock) -> None:
    asked = {"inputs": "Hi there", "parameters": {"decoder_input_details": True}}

    [answer] = whole(others, asked, "narrow")
    prefill = answer["details"]["prefill"]

    assert [token["text"] for token in prefill] == ["<s>", "Hi", "there"]
    assert prefill[0]["logprob"] is None
    assert all(token["logprob"] <= 0 for token in prefill[1:])


def test_tgi_3_chats(others: Bedrock) -> None:
    others.reply("I am well.")

    answer = whole(others, CHAT, "tgi-3")
    told = events_of(others, {**CHAT, "stream_options": {"include_usage": True}})

    assert {**answer, "created": 0} == {
        "object": "chat.completion",
        "id": "",
        "created": 0,
        "model": "none",
        "system_fingerprint": "3.3.7-native",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "I am well."},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": answer["usage"],
    }
    *chunks, last = told
    text = "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks)
    assert text == "I am well."
    assert (last["choices"], last["usage"]) == ([], answer["usage"])


def test_tgi_3_calls_tools(others: Bedrock) -> None:
    whole_call = whole(others, {**CHAT, **CALLED}, "tgi-3")["choices"][0]["message"]["tool_calls"]
    *_, last = events_of(others, {**CHAT, **CALLED})

    [call] = whole_call
    assert (call["id"], call["function"]["name"]) == ("0", "weather")
    assert set(json.loads(call["function"]["arguments"])) == {"city"}
    assert last["choices"][0]["delta"]["tool_calls"] == [{"index": 0, **call}]


def test_lmi_chats_as_vllm_does(others: Bedrock) -> None:
    others.reply("I am well.")

    answer = whole(others, {**CHAT, "an_unknown_member": 1}, "lmi")
    told = b"".join(parts(stream(others, {**CHAT, "stream": True}, "lmi")))
    chunks = [json.loads(line) for line in told.splitlines()]

    assert answer["choices"][0]["message"]["content"] == "I am well."
    assert list(answer)[:4] == ["id", "object", "created", "model"]
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert text == "I am well."


def test_tgi_3_completes_several_prompts(others: Bedrock) -> None:
    others.reply(" one two three")

    answer = whole(others, PROMPTED, "tgi-3")
    told = events_of(others, PROMPTED)

    assert {**answer, "created": 0} == {
        "object": "text_completion",
        "id": "",
        "created": 0,
        "model": "none",
        "system_fingerprint": "3.3.7-native",
        "choices": [
            {"index": at, "text": " one two", "logprobs": None, "finish_reason": "length"}
            for at in (0, 1)
        ],
        "usage": {"prompt_tokens": 6, "completion_tokens": 4, "total_tokens": 10},
    }
    texts = ["", ""]
    for event in told:
        [choice] = event["choices"]
        texts[choice["index"]] += choice["text"]
    assert texts == [" one two", " one two"]
    ends = [event for event in told if "usage" in event]
    assert [end["choices"][0]["finish_reason"] for end in ends] == ["length", "length"]
    assert ends[0]["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def test_a_completion_ends_by_itself(others: Bedrock) -> None:
    others.reply(" one")
    asked = {"prompt": "Say"}

    [choice] = whole(others, asked, "tgi-3")["choices"]
    *_, last = events_of(others, asked)

    assert (choice["text"], choice["finish_reason"]) == (" one", "stop")
    assert (last["choices"][0]["text"], last["choices"][0]["finish_reason"]) == (
        "</s>",
        "eos_token",
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"prompt": "a", "suffix": "b"}, ("Suffix is not supported and", "suffix not supported")),
        ({"prompt": ["a"] * 5}, ("Number of prompts exceeds the", "batch size exceeded")),
        ({"prompt": ""}, ("Input validation error: `inputs` cannot", "validation")),
        ({"prompt": "a", "max_tokens": 0}, ("Input validation error: `max_new_", "validation")),
        ({**CHAT, "max_tokens": 0}, ("Input validation error: `max_new_tokens`", "validation")),
        ({**CHAT, "top_logprobs": 9}, ("Input validation error: `top_n_tokens`", "validation")),
        ({"messages": []}, ("Template error: Conversation must", "template_error")),
        (
            {
                **CHAT,
                **CALLED,
                "response_format": {"type": "json_object", "value": {"properties": {}}},
            },
            ("Tool error: Grammar and tools are", "tool_error"),
        ),
    ],
)
def test_tgi_3_refuses_in_its_own_words(
    others: Bedrock, body: dict[str, Any], said: tuple[str, str]
) -> None:
    refused = refusal(others, body, "tgi-3")
    error = json.loads(refused["OriginalMessage"])

    assert refused["OriginalStatusCode"] == 422
    assert (error["error"].startswith(said[0]), error["error_type"]) == (True, said[1])


def test_an_engines_refusal_is_told_in_tgis_words(others: Bedrock) -> None:
    grammar = {"type": "regex", "value": "a+"}  # the scripted engine knows none

    refused = refusal(others, {**ASKED, "parameters": {"grammar": grammar}}, "tgi-3")

    error = json.loads(refused["OriginalMessage"])
    assert error["error"].startswith("Input validation error: The model can't hold an answer to")
    assert error["error_type"] == "validation"


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"inputs": 3},
        {"prompt": 3},
        {"prompt": []},
        {"prompt": ["a", 3]},
        {"prompt": "a", "max_tokens": "3"},
        {"messages": "x"},
        {**CHAT, "stop": "a"},
        {**CHAT, "response_format": {"type": "xml"}},
        {**CHAT, "stream_options": {"include_usage": 3}},
        {**CHAT, "logit_bias": {"1": 1}},
    ],
)
def test_a_body_of_none_of_the_forms_is_refused(others: Bedrock, body: Any) -> None:
    refused = refusal(others, body, "tgi-3")

    assert (refused["OriginalStatusCode"], refused["OriginalMessage"]) == (422, NO_FORM)


def test_a_streamed_chat_is_refused_by_an_event(others: Bedrock) -> None:
    [event] = events_of(others, {**CHAT, "top_p": 2})

    sentence = "Input validation error: `top_p` must be > 0.0 and < 1.0"
    assert event == {"error": {"message": sentence, "http_status_code": 422}}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"messages": []}, "Conversation must have at least one message"),
        ({**CHAT, "temperature": 3}, "temperature must be in [0, 2], got 3."),
        ({**CHAT, "n": 2}, "'n' is not supported for values greater than 1"),
    ],
)
def test_lmi_refuses_chats_with_its_own_error(others: Bedrock, body: Any, said: str) -> None:
    refused = refusal(others, body, "lmi")

    assert refused["OriginalStatusCode"] == 424
    assert json.loads(refused["OriginalMessage"]) == {"error": said, "code": 424}


@pytest.mark.parametrize(
    ("name", "body", "error"),
    [
        ("narrow", ASKED, {"error": "It broke.", "error_type": "generation"}),
        ("tgi-3", CHAT, {"error": {"message": "It broke.", "http_status_code": 422}}),
        ("tgi-3", PROMPTED, {"error": "It broke.", "error_type": "generation"}),
        ("lmi", ASKED, {"error": "It broke.", "code": 424}),
        ("lmi", CHAT, {"error": "It broke.", "code": 424}),
    ],
)
def test_a_stream_without_frames_breaks_in_its_containers_words(
    others: Bedrock, name: str, body: dict[str, Any], error: Any
) -> None:
    others.fail("ModelErrorException", message="It broke.", reply=" a b c d", after_tokens=1)

    data = invoke(others, {**body, "stream": True}, name)["Body"].read()
    lines = data.removesuffix(b"data: [DONE]\n\n").splitlines()
    last = [line for line in lines if line][-1]

    assert json.loads(last.removeprefix(b"data:")) == error


@pytest.mark.parametrize(
    ("name", "status", "error"),
    [
        ("tgi-3", 500, {"error": "It broke.", "error_type": "generation"}),
        ("lmi", 424, {"error": "It broke.", "code": 424}),
    ],
)
def test_a_container_fails_in_its_own_words(
    others: Bedrock, name: str, status: int, error: Any
) -> None:
    others.fail("ModelErrorException", message="It broke.")

    refused = refusal(others, CHAT, name)

    assert refused["OriginalStatusCode"] == status
    assert json.loads(refused["OriginalMessage"]) == error
