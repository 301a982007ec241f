"""Parameters of the models of 2025, as the engine gets them and as the answer reports them."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from engine.protocol import GenerationRequest
from engine.tokenization.tokenizer import load_tokenizer
from invoke_api.models.registry import DEFAULT_REGISTRY, Model, load_registry
from invoke_api.operations.converse import to_conversation
from invoke_api.testing import Bedrock
from invoke_api.yaml_files import SCHEMAS
from tests.guardrails.test_guardrails import ID as GUARDRAIL
from tests.support.servers import LARGE_3

MODELS = load_registry(DEFAULT_REGISTRY).models
TOKENIZER = load_tokenizer("v3")
USER = {"role": "user", "content": "How is the weather?"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
# A body's key and value: the engine's parameter and its value.
REACHES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"seed": -5}, {"seed": -5}),
    ({"frequency_penalty": 1.5}, {"frequency_penalty": 1.5}),
    ({"presence_penalty": -2}, {"presence_penalty": -2.0}),
    ({"logit_bias": {"7": -100, "8": 0.5}}, {"logit_bias": {7: -100.0, 8: 0.5}}),
    ({"logit_bias": {"7": 1e9}}, {"logit_bias": {7: 100.0}}),
    ({"top_k": 5}, {"top_k": 5}),
    ({"top_k": -1}, {"top_k": 0}),
    ({"top_p": 0.5, "temperature": 2}, {"top_p": 0.5, "temperature": 2.0}),
    ({"max_completion_tokens": 7, "max_tokens": 9}, {"max_tokens": 7}),
    ({"max_tokens": 200_000}, {"max_tokens": 200_000}),
    ({"max_tokens": None}, {"max_tokens": 8192, "shortens": True}),
    ({"max_tokens": 9}, {"max_tokens": 9, "shortens": False}),
    ({"stop": "a"}, {"stop": ("a",)}),
    ({"stop": ["a", "b"]}, {"stop": ("a", "b")}),
    ({"logprobs": True}, {"top_logprobs": 0}),
    ({"logprobs": True, "top_logprobs": 3}, {"top_logprobs": 3}),
    ({"logprobs": False}, {"top_logprobs": None}),
    ({"response_format": {"type": "json_object"}}, {"schema": '{"type": "object"}'}),
]


def large_3() -> Model:
    return MODELS[LARGE_3]


def found(generation: GenerationRequest, wanted: dict[str, Any]) -> dict[str, Any]:
    return {key: getattr(generation, key) for key in wanted}


@pytest.mark.parametrize(("more", "wanted"), REACHES)
def test_a_parameter_of_invoke_model_reaches_the_engine(
    more: dict[str, Any], wanted: dict[str, Any]
) -> None:
    body = large_3().parse_body(json.dumps({"messages": [USER], **more}).encode())
    generation = large_3().dialect.to_request(body, TOKENIZER, 1_000, "r")

    assert found(generation, wanted) == wanted


@pytest.mark.parametrize(("more", "wanted"), [row for row in REACHES if "logprobs" not in row[0]])
def test_a_parameter_of_converse_reaches_the_engine(
    more: dict[str, Any], wanted: dict[str, Any]
) -> None:
    user = {"role": "user", "content": [{"text": "How is the weather?"}]}
    asked = {"messages": [user], "additionalModelRequestFields": more}
    conversation = to_conversation(asked, large_3(), stream=False)

    assert found(conversation.generation(TOKENIZER), wanted) == wanted


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"temperature": 2.5}, "temperature must be in [0, 2], got 2.5."),
        ({"frequency_penalty": -3}, "frequency_penalty must be in [-2, 2], got -3."),
        ({"top_k": -2}, "top_k must be 0 (disable), or at least 1, got -2."),
        ({"max_tokens": 0}, "max_tokens must be at least 1, got 0."),
        ({"logprobs": True, "top_logprobs": 21}, "Requested sample logprobs of 21"),
        ({"top_logprobs": 2}, "when using `top_logprobs`, `logprobs` must be set to true."),
        ({"logit_bias": {"a": 1}}, "cannot be converted to integer token IDs: ['a']"),
        ({"logit_bias": {"9999999": 1}}, "token_id(s) [9999999] in logit_bias contain"),
        ({"stop": ["a", ""]}, "stop cannot contain an empty string."),
        ({"stream_options": {"include_usage": True}}, "only be defined when `stream=True`."),
        ({"service_tier": "priority", "seed": {}}, "Invalid 'seed': invalid type: map"),
    ],
)
def test_what_is_out_of_bounds_has_a_sentence(
    runtime: Any, more: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ClientError) as refused:
        ask(runtime, **more)

    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert sentence in json.loads(refused.value.response["Error"]["Message"])["error"]["message"]


def ask(runtime: Any, **more: Any) -> dict[str, Any]:
    headers = {"serviceTier": more.pop("header")} if "header" in more else {}
    body = json.dumps({"messages": [USER], "max_tokens": 20, **more})
    document: dict[str, Any] = json.loads(
        runtime.invoke_model(modelId=LARGE_3, body=body, **headers)["body"].read()
    )
    return document


@pytest.mark.parametrize(
    ("more", "tier"),
    [
        ({}, "default"),
        ({"service_tier": "auto"}, "default"),
        ({"service_tier": "flex"}, "flex"),
        ({"header": "priority"}, "priority"),
        ({"header": "priority", "service_tier": "flex"}, "priority"),
    ],
)
def test_an_answer_tells_the_tier_that_was_asked_for(
    runtime: Any, more: dict[str, Any], tier: str
) -> None:
    assert ask(runtime, **more)["service_tier"] == tier


def test_a_tier_in_the_body_that_the_model_lacks_is_refused(runtime: Any) -> None:
    user = [{"role": "user", "content": [{"text": "Hi"}]}]
    with pytest.raises(ClientError, match="tier is not supported for this model"):
        runtime.converse(
            modelId="mistral.mistral-7b-instruct-v0:2", messages=user, serviceTier={"type": "flex"}
        )


def test_converse_tells_its_tier_in_the_models_own_answer(runtime: Any) -> None:
    answer = runtime.converse(
        modelId=LARGE_3,
        messages=[{"role": "user", "content": [{"text": "Hi"}]}],
        serviceTier={"type": "flex"},
        additionalModelResponseFieldPaths=["/service_tier"],
    )

    assert answer["additionalModelResponseFields"] == {"service_tier": "flex"}


def test_log_probabilities_come_token_by_token(bedrock: Bedrock, runtime: Any) -> None:
    bedrock.reply("one two Zürich")
    document = ask(runtime, logprobs=True, top_logprobs=2)
    [choice] = document["choices"]
    content = choice["logprobs"]["content"]
    text = b"".join(bytes(entry["bytes"]) for entry in content).decode()

    assert list(choice["logprobs"]) == ["content", "refusal"]
    assert len(content) == document["usage"]["completion_tokens"]
    assert text.strip() == choice["message"]["content"]
    assert content[0] == {
        "bytes": list(b"one"),
        "logprob": 0.0,
        "token": "one",
        "top_logprobs": [{"bytes": list(b"one"), "logprob": 0.0, "token": "one"}],
    }
    assert ask(runtime)["choices"][0]["logprobs"] is None


def test_a_chunk_has_the_log_probability_of_its_token(bedrock: Bedrock, runtime: Any) -> None:
    bedrock.reply("one two")
    body = json.dumps({"messages": [USER], "logprobs": True, "stream": True})
    stream = runtime.invoke_model_with_response_stream(modelId=LARGE_3, body=body)["body"]
    chunks = [json.loads(event["chunk"]["bytes"]) for event in stream]
    told = [chunk["choices"][0]["logprobs"]["content"] for chunk in chunks]

    assert [entry["token"] for [entry] in told] == ["one", " two", ""]
    assert all(entry["top_logprobs"] == [] for [entry] in told)


def test_log_probabilities_are_not_told_past_a_guardrail_nor_by_converse(runtime: Any) -> None:
    body = json.dumps({"messages": [USER], "logprobs": True})
    named = {"guardrailIdentifier": GUARDRAIL, "guardrailVersion": "DRAFT"}
    with pytest.raises(ClientError, match="'logprobs' is not supported with a guardrail"):
        runtime.invoke_model(modelId=LARGE_3, body=body, **named)
    with pytest.raises(ClientError, match="'logprobs' is not supported"):
        runtime.converse(
            modelId=LARGE_3,
            messages=[{"role": "user", "content": [{"text": "Hi"}]}],
            additionalModelRequestFields={"logprobs": True},
        )


def test_one_call_is_told_where_parallel_ones_are_not_wanted(
    bedrock: Bedrock, runtime: Any
) -> None:
    bedrock.rule(reply={"tool_calls": [{"name": "f", "arguments": {"a": n}} for n in (1, 2)]})
    both = ask(runtime, tools=[TOOL], max_tokens=200)
    one = ask(runtime, tools=[TOOL], max_tokens=200, parallel_tool_calls=False)

    assert [len(each["choices"][0]["message"]["tool_calls"]) for each in (both, one)] == [2, 1]


def test_a_stream_may_say_that_it_is_one(runtime: Any) -> None:
    body = json.dumps(
        {"messages": [USER], "stream": True, "stream_options": {"include_usage": True}}
    )
    stream = runtime.invoke_model_with_response_stream(modelId=LARGE_3, body=body)["body"]
    [*_, last] = [json.loads(event["chunk"]["bytes"]) for event in stream]

    assert last["usage"]["total_tokens"] > 0
    with pytest.raises(ClientError, match="stream field must match"):
        runtime.invoke_model_with_response_stream(
            modelId=LARGE_3, body=json.dumps({"messages": [USER], "stream": False})
        )


def test_the_document_has_every_key_that_the_server_knows() -> None:
    document = (SCHEMAS.parent / "docs" / "parameters.md").read_text()
    known = json.loads((SCHEMAS / "mistral-chat-2025.json").read_text())["properties"]

    assert [key for key in known if f"`{key}`" not in document] == ["reasoning_config"]
