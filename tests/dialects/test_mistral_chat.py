"""InvokeModel with `messages`, through a service: text, tools, streams, refusals."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from invoke_api.dialects.tools import make_id, to_models_id
from invoke_api.testing import Bedrock, ToolCall
from tests.support.images import png, to_url
from tests.support.servers import LARGE_3, LARGE_2407, MINISTRAL_3B, PIXTRAL, VOXTRAL_MINI
from tests.support.sounds import to_base64, tone

MODELS = [LARGE_2407, PIXTRAL, LARGE_3, MINISTRAL_3B, VOXTRAL_MINI]
USER = {"role": "user", "content": "How is the weather?"}
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "number", "minimum": 0.5}},
        },
    },
}
CALL: ToolCall = {"name": "get_weather", "arguments": {"city": "Zürich", "days": 1.5}}


@pytest.mark.parametrize(
    ("wanted", "answer"),
    [
        (
            {
                "type": "json_schema",
                "json_schema": {
                    "name": "weather",
                    "schema": {"type": "object", "properties": {"wind": {"enum": [1.5, 2]}}},
                },
            },
            {"wind": 1.5},
        ),
        ({"type": "json_object"}, {}),
    ],
)
def test_an_answer_is_held_to_a_format(runtime: Any, wanted: object, answer: object) -> None:
    choice, _ = ask(runtime, LARGE_3, response_format=wanted)

    assert json.loads(choice["message"]["content"]) == answer


def test_a_format_without_its_schema_is_refused(runtime: Any) -> None:
    key = "Invalid 'response_format': missing field `json_schema` at line 1 column "
    with pytest.raises(ClientError, match=key):
        ask(runtime, LARGE_3, response_format={"type": "json_schema"})
    nested = "Invalid 'response_format.json_schema': missing field `schema`"
    with pytest.raises(ClientError, match=nested):
        ask(runtime, LARGE_3, response_format={"type": "json_schema", "json_schema": {}})


def ask(runtime: Any, model: str, **body: Any) -> tuple[dict[str, Any], dict[str, str]]:
    asked = json.dumps({"messages": [USER], "max_tokens": 60, **body})
    answer = runtime.invoke_model(modelId=model, body=asked)
    with answer["body"] as raw:
        [choice] = json.load(raw)["choices"]
    return choice, answer["ResponseMetadata"]["HTTPHeaders"]


def stream(runtime: Any, model: str, **body: Any) -> list[dict[str, Any]]:
    asked = json.dumps({"messages": [USER], "max_tokens": 60, **body})
    answer = runtime.invoke_model_with_response_stream(modelId=model, body=asked)
    return [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]


REASON = {LARGE_2407: "stop_reason"}  # the others call it finish_reason


def reason_of(model: str, choice: dict[str, Any]) -> str | None:
    reason: str | None = choice[REASON.get(model, "finish_reason")]
    return reason


def part_of(choice: dict[str, Any]) -> dict[str, Any]:
    """Return the members that a chunk adds to the message."""
    part: dict[str, Any] = choice.get("delta") or choice["message"]
    return part


@pytest.mark.parametrize("model", MODELS)
def test_a_text_comes_whole_and_in_chunks(bedrock: Bedrock, runtime: Any, model: str) -> None:
    bedrock.reply("It rains, and 🦜 sing.")
    choice, headers = ask(runtime, model)
    chunks = stream(runtime, model)
    metrics = chunks[-1]["amazon-bedrock-invocationMetrics"]
    parts = [part_of(chunk["choices"][0]) for chunk in chunks]

    assert choice["message"]["content"] == "It rains, and 🦜 sing."
    assert reason_of(model, choice) == "stop"
    assert "".join(part["content"] for part in parts) == "It rains, and 🦜 sing."
    reasons = [reason_of(model, chunk["choices"][0]) for chunk in chunks[-2:]]
    assert reasons == [None, "stop"]
    assert len(chunks) == metrics["outputTokenCount"]
    assert chunks[-1]["usage"]["completion_tokens"] == metrics["outputTokenCount"]
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert headers["x-amzn-bedrock-input-token-count"] == str(metrics["inputTokenCount"])
    assert headers["x-amzn-bedrock-output-token-count"] == str(metrics["outputTokenCount"])


def test_max_tokens_and_stop_are_in_force(bedrock: Bedrock, runtime: Any) -> None:
    bedrock.reply("one two three four")

    assert ask(runtime, LARGE_2407, max_tokens=2)[0]["message"]["content"] == "one two"
    assert reason_of(LARGE_2407, ask(runtime, LARGE_2407, max_tokens=2)[0]) == "length"
    assert ask(runtime, LARGE_3, stop=[" three"])[0]["message"]["content"] == "one two"


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("choice", ["auto", "any"])
def test_a_rule_calls_a_tool_that_is_offered(
    bedrock: Bedrock, runtime: Any, model: str, choice: str
) -> None:
    bedrock.rule(reply={"text": "Wait.", "tool_calls": [CALL]}, when={"tool": "get_*"})
    called, headers = ask(runtime, model, tools=[TOOL], tool_choice=choice)
    [call] = called["message"]["tool_calls"]
    chunks = stream(runtime, model, tools=[TOOL], tool_choice=choice)
    last = chunks[-1]["choices"][0]

    assert reason_of(model, called) == reason_of(model, last) == "tool_calls"
    assert called["message"]["content"] == "Wait."
    assert call["type"] == "function"
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]) == CALL["arguments"]
    assert len(call["id"]) == 22
    assert part_of(last)["tool_calls"][0]["function"] == call["function"]
    assert len(chunks) == int(headers["x-amzn-bedrock-output-token-count"])
    assert "Scripted" in ask(runtime, model)[0]["message"]["content"]  # no tool, no call


@pytest.mark.parametrize("model", MODELS)
def test_a_result_goes_back_by_the_id_that_came(bedrock: Bedrock, runtime: Any, model: str) -> None:
    bedrock.reply("It is 7 degrees.")
    bedrock.rule(reply={"tool_calls": [CALL]}, times=1)
    called = ask(runtime, model, tools=[TOOL])[0]["message"]
    result = {"role": "tool", "tool_call_id": called["tool_calls"][0]["id"], "content": "7"}
    answer, _ = ask(runtime, model, messages=[USER, called, result], tools=[TOOL])

    assert answer["message"]["content"] == "It is 7 degrees."


def test_tools_that_must_not_be_called_are_not_in_the_prompt(runtime: Any) -> None:
    plain, offered, silent = (
        ask(runtime, LARGE_3, **body)[1]["x-amzn-bedrock-input-token-count"]
        for body in ({}, {"tools": [TOOL]}, {"tools": [TOOL], "tool_choice": "none"})
    )

    assert plain == silent
    assert int(offered) > int(plain)


def test_what_looks_like_a_call_and_is_none_stays_text(bedrock: Bedrock, runtime: Any) -> None:
    bedrock.reply("Wait.[TOOL_CALLS] nothing")

    assert ask(runtime, LARGE_2407)[0]["message"]["content"] == "Wait. nothing"
    assert ask(runtime, LARGE_2407, tools=[TOOL], tool_choice="any")[0]["stop_reason"] == "stop"


def test_a_conversation_is_matched_by_its_last_message_and_its_turn(
    bedrock: Bedrock, runtime: Any
) -> None:
    bedrock.reply("Second.", turn=2, last_user_message="then")
    history = [USER, {"role": "assistant", "content": "It rains."}]
    parts = {"role": "user", "content": [{"type": "text", "text": "And then?"}]}

    assert (
        ask(runtime, LARGE_2407, messages=[*history, parts])[0]["message"]["content"] == "Second."
    )


DEVSTRAL = "mistral.devstral-2-123b"
COUNT = "x-amzn-bedrock-input-token-count"
AUDIO = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"messages": []}, "#/messages: expected minimum item count: 1, found: 0"),
    ({"messages": [{"role": "bot"}]}, "#/messages/0/role: bot is not a valid enum value"),
    ({"prompt": "Hi"}, "#: extraneous key [prompt] is not permitted"),
    ({"max_tokens": 40_000}, "#/max_tokens: 40000 is not less or equal to "),
    ({"tool_choice": "get_weather"}, "#/tool_choice: get_weather is not a valid enum value"),
    ({"messages": [{"role": "assistant", "content": "a"}]}, "Conversation must start with a user"),
]
REFUSALS_OF_2025: list[tuple[dict[str, Any], str]] = [
    ({"messages": []}, "Conversation must have at least one message"),
    (
        {"messages": [{"role": "bot"}]},
        "Invalid 'messages[0].role': unknown variant `bot`, expected",
    ),
    ({"prompt": "Hi"}, "unknown variant `prompt`, expected one of `audio`, `frequency_penalty`"),
    ({"max_tokens": 300_000}, "maximum context length is 262144 tokens. However, you requested"),
    ({"tool_choice": "get_weather"}, "Invalid 'tool_choice': unknown variant `get_weather`"),
    REFUSALS[-1],
]


@pytest.mark.parametrize(
    ("model", "body", "sentence"),
    [
        *((LARGE_2407, body, sentence) for body, sentence in REFUSALS),
        *((LARGE_3, body, sentence) for body, sentence in REFUSALS_OF_2025),
    ],
)
def test_a_mistake_has_a_sentence(
    runtime: Any, model: str, body: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ClientError) as caught:
        ask(runtime, model, **body)

    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert sentence in caught.value.response["Error"]["Message"]


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (LARGE_2407, "This model takes text only."),
        (DEVSTRAL, "This model takes text only."),
        (LARGE_3, "An image is no PNG, JPEG, WebP or GIF in base64."),
    ],
)
def test_an_image_is_refused_where_it_can_not_be_seen(
    runtime: Any, model: str, sentence: str
) -> None:
    url = IMAGE if model != DEVSTRAL else {"type": "image_url", "image_url": to_url(png())}
    with pytest.raises(ClientError, match=sentence):
        ask(runtime, model, messages=[{"role": "user", "content": [url]}])


@pytest.mark.parametrize("model", [PIXTRAL, LARGE_3, MINISTRAL_3B])
def test_an_image_is_counted_and_changes_what_is_said(runtime: Any, model: str) -> None:
    told = []
    for color in ("red", "blue"):
        image = {"type": "image_url", "image_url": {"url": to_url(png(color))}}
        parts = [{"type": "text", "text": "What is it?"}, image]
        choice, headers = ask(runtime, model, messages=[{"role": "user", "content": parts}])
        told.append((choice["message"]["content"], headers[COUNT]))
    _, headers = ask(runtime, model, messages=[{"role": "user", "content": "What is it?"}])

    assert told[0] != told[1]
    assert told[0][1] == told[1][1]
    assert int(told[0][1]) > int(headers[COUNT]) + 5


def test_audio_is_counted_and_changes_what_is_said(runtime: Any) -> None:
    told = []
    for hertz in (200, 800):
        data = {"data": to_base64(tone(hertz=hertz)), "format": "wav"}
        audio = {"type": "input_audio", "input_audio": data}
        parts = [{"type": "text", "text": "What is being said?"}, audio]
        choice, headers = ask(runtime, VOXTRAL_MINI, messages=[{"role": "user", "content": parts}])
        told.append((choice["message"]["content"], headers[COUNT]))

    assert told[0] != told[1]
    assert told[0][1] == told[1][1] == "384"


@pytest.mark.parametrize(
    ("model", "part", "sentence"),
    [
        (DEVSTRAL, AUDIO, "This model takes no input_audio."),
        (LARGE_2407, AUDIO, "This model takes text only."),
        (LARGE_3, AUDIO, "This model takes no input_audio."),
        (VOXTRAL_MINI, AUDIO, "Audio is no WAV, MP3, FLAC or Ogg in base64."),
        (VOXTRAL_MINI, IMAGE, "This model takes no image_url."),
    ],
)
def test_audio_is_refused_where_it_can_not_be_heard(
    runtime: Any, model: str, part: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ClientError, match=sentence):
        ask(runtime, model, messages=[{"role": "user", "content": [part]}])


def test_a_rules_calls_are_for_models_that_have_tools(bedrock: Bedrock, runtime: Any) -> None:
    bedrock.rule(reply={"tool_calls": [CALL]})
    with pytest.raises(ClientError, match="calls a tool that the request does not offer"):
        runtime.invoke_model(modelId="mistral.mistral-7b-instruct-v0:2", body='{"prompt": "Hi"}')


def test_ids_are_made_alike_and_told_from_others() -> None:
    made = make_id("request", 0)

    assert make_id("request", 0) == made
    assert make_id("request", 1) != made
    assert len(to_models_id(made)) == len(to_models_id(f"tooluse_{made}")) == 9
    assert to_models_id("abcd12345") == "abcd12345"
    assert to_models_id("call_1") == "call_1"
