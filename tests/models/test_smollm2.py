"""SmolLM2 on real vLLM in place of all models, called with boto3. All tests share one start."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from engine.tokenization.tokenizer import load_tokenizer
from tests.support.clients import client
from tests.support.images import png
from tests.support.servers import LARGE_3, LARGE_2407, MIXTRAL, SEVEN_B, call

CAPITAL = "What is the capital of France?"
PROMPT = f"<s>[INST] {CAPITAL} [/INST]"
ANSWER = "The capital of France is Paris."


@pytest.fixture
def bedrock(smollm2: str) -> Iterator[Any]:
    with client(smollm2, "smollm2") as made:
        yield made


def invoke(bedrock: Any, prompt: str, **more: Any) -> dict[str, Any]:
    body = json.dumps({"prompt": prompt, "temperature": 0, **more})
    answer = json.loads(bedrock.invoke_model(modelId=SEVEN_B, body=body)["body"].read())
    [output] = answer["outputs"]
    return dict(output)


def converse(bedrock: Any, text: str, model: str = LARGE_2407, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": [{"text": text}]}]
    config = {"temperature": 0.0, "maxTokens": 40, **more.pop("inferenceConfig", {})}
    found: dict[str, Any] = bedrock.converse(
        modelId=model, messages=messages, inferenceConfig=config, **more
    )
    return found


def test_the_prompt_is_answered_with_sense(bedrock: Any) -> None:
    assert invoke(bedrock, PROMPT) == {"text": f" {ANSWER}", "stop_reason": "stop"}


def test_messages_are_answered_with_sense_and_counted_by_mistrals_tokenizer(bedrock: Any) -> None:
    answer = converse(bedrock, CAPITAL)
    [part] = answer["output"]["message"]["content"]
    v3 = load_tokenizer("v3")
    prompt = v3.chat.encode([{"role": "user", "content": CAPITAL}]).tokens

    assert part["text"] == ANSWER
    assert answer["stopReason"] == "end_turn"
    assert answer["usage"] == {
        "inputTokens": len(prompt),
        "outputTokens": len(v3.encode_text(f" {ANSWER}")) + 1,
        "totalTokens": len(prompt) + len(v3.encode_text(f" {ANSWER}")) + 1,
    }


def test_a_stream_has_a_chunk_for_each_token_of_mistrals(bedrock: Any) -> None:
    body = json.dumps({"prompt": PROMPT, "temperature": 0})
    stream = bedrock.invoke_model_with_response_stream(modelId=MIXTRAL, body=body)["body"]
    chunks = [json.loads(event["chunk"]["bytes"]) for event in stream]
    v1 = load_tokenizer("v1")

    texts = [chunk["outputs"][0]["text"] for chunk in chunks]
    tokens = v1.encode_text(f" {ANSWER}")
    assert texts == [*(v1.pieces[token].decode() for token in tokens), ""]
    metrics = chunks[-1]["amazon-bedrock-invocationMetrics"]
    assert metrics["inputTokenCount"] == len(v1.encode(PROMPT))
    assert metrics["outputTokenCount"] == len(tokens) + 1


def test_a_stream_of_converse_says_the_same(bedrock: Any) -> None:
    stream = bedrock.converse_stream(
        modelId=LARGE_2407,
        messages=[{"role": "user", "content": [{"text": CAPITAL}]}],
        inferenceConfig={"temperature": 0.0, "maxTokens": 40},
    )["stream"]
    deltas = [event["contentBlockDelta"] for event in stream if "contentBlockDelta" in event]

    assert "".join(each["delta"]["text"] for each in deltas).strip() == ANSWER


@pytest.mark.parametrize(
    ("stop", "text"), [("Paris", " The capital of France is "), ("nce is P", " The capital of Fra")]
)
def test_a_stop_sequence_cuts_the_text(bedrock: Any, stop: str, text: str) -> None:
    assert invoke(bedrock, PROMPT, stop=[stop]) == {"text": text, "stop_reason": "stop"}


def test_max_tokens_counts_mistrals_tokens(bedrock: Any) -> None:
    v3 = load_tokenizer("v3")
    for most in (1, 4):
        text = b"".join(v3.pieces[token] for token in v3.encode_text(f" {ANSWER}")[:most])
        expected = {"text": text.decode(), "stop_reason": "length"}
        assert invoke(bedrock, PROMPT, max_tokens=most) == expected


def test_characters_of_several_tokens_come_whole(bedrock: Any) -> None:
    [part] = converse(
        bedrock,
        "Repeat this: 🦜 日本語",
        toolConfig={
            "tools": [
                {
                    "toolSpec": {
                        "name": "repeat",
                        "inputSchema": {
                            "json": {
                                "type": "object",
                                "properties": {"said": {"const": "🦜 Zürich 日本語"}},
                                "required": ["said"],
                            }
                        },
                    }
                }
            ],
            "toolChoice": {"any": {}},
        },
        inferenceConfig={"maxTokens": 100},
    )["output"]["message"]["content"]

    assert part["toolUse"]["name"] == "repeat"
    assert part["toolUse"]["input"] == {"said": "🦜 Zürich 日本語"}


def test_it_is_labelled_where_operators_look(smollm2: str) -> None:
    _, health = call(smollm2, "GET", "/_emulator/health")
    _, models = call(smollm2, "GET", "/_emulator/models")

    label = "SmolLM2-135M-Instruct"
    assert {each["stand_in"] for each in json.loads(health)["models"].values()} == {label}
    assert {each["stand_in"] for each in json.loads(models)["models"]} == {label}
    _, cards = call(smollm2, "GET", "/_emulator/engines")
    assert {each["stand_in"] for each in json.loads(cards)["engines"]} == {label}


def test_an_image_goes_to_the_tiny_network_that_sees(bedrock: Any) -> None:
    content = [{"text": "What is it?"}, {"image": {"format": "png", "source": {"bytes": png()}}}]
    answer = bedrock.converse(
        modelId=LARGE_3,
        messages=[{"role": "user", "content": content}],
        inferenceConfig={"temperature": 0.0, "maxTokens": 10},
    )

    assert answer["output"]["message"]["content"][0]["text"]
    assert answer["usage"]["outputTokens"] <= 10
