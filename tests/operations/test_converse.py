"""Converse and ConverseStream, with boto3 and byte for byte, on both engines."""

import json
from collections import Counter
from contextlib import closing
from typing import Any

import pytest
from botocore.exceptions import ClientError, EventStreamError

from invoke_api.testing import Bedrock, ToolCall
from tests.support.clients import client
from tests.support.images import png
from tests.support.servers import (
    LARGE,
    LARGE_3,
    LARGE_2407,
    MIXTRAL,
    PIXTRAL,
    SEVEN_B,
    SMALL,
    VOXTRAL_MINI,
    VOXTRAL_SMALL,
    invoke,
)
from tests.support.sounds import tone, written
from tests.support.streams import split_frames

MODELS = [SEVEN_B, MIXTRAL, LARGE, LARGE_2407, PIXTRAL, LARGE_3, VOXTRAL_MINI]
CALLERS = [LARGE, LARGE_2407, PIXTRAL, LARGE_3, VOXTRAL_MINI]
USER: dict[str, Any] = {"role": "user", "content": [{"text": "How is the weather?"}]}
TOOLS = {
    "tools": [
        {
            "toolSpec": {
                "name": "get_weather",
                "description": "The weather of a city",
                "inputSchema": {"json": {"type": "object", "properties": {"city": {}}}},
            }
        }
    ]
}
STOP = "contentBlockStop"
CALL: ToolCall = {"name": "get_weather", "arguments": {"city": "Zürich", "days": 1.5}}


def ask(runtime: Any, model: str, **body: Any) -> dict[str, Any]:
    limits = {"maxTokens": 60}
    asked = {"messages": [USER], "inferenceConfig": limits, **body}
    answer: dict[str, Any] = runtime.converse(modelId=model, **asked)
    return answer


def stream(runtime: Any, model: str, **body: Any) -> list[tuple[str, dict[str, Any]]]:
    limits = {"maxTokens": 60}
    asked = {"messages": [USER], "inferenceConfig": limits, **body}
    # A stream that fails does not close its socket.
    with closing(runtime.converse_stream(modelId=model, **asked)["stream"]) as events:
        return [pair for event in events for pair in event.items()]


def schema_of(properties: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": [*properties]}
    text = json.dumps({**schema, "additionalProperties": False})
    structure = {"jsonSchema": {"schema": text, "name": "weather"}}
    return {"textFormat": {"type": "json_schema", "structure": structure}}


def test_an_answer_is_held_to_a_schema(service: str) -> None:
    asked = schema_of({"rains": {"type": "boolean"}, "wind": {"enum": ["none", "strong"]}})
    with client(service, "AKIATEST", "us-east-1") as runtime:
        whole = ask(runtime, LARGE_3, outputConfig=asked)
        events = stream(runtime, LARGE_3, outputConfig=asked)
    [block] = whole["output"]["message"]["content"]
    deltas = [event for kind, event in events if kind == "contentBlockDelta"]
    texts = [block["text"], "".join(delta["delta"]["text"] for delta in deltas)]
    for text in texts:
        answer = json.loads(text)

        assert answer["rains"] in (True, False)
        assert answer["wind"] in ("none", "strong")


def test_a_schema_that_the_engine_can_not_follow_is_named(service: str) -> None:
    asked = schema_of({"rains": {"type": "sometimes"}})
    with (
        client(service, "AKIATEST", "us-east-1") as runtime,
        pytest.raises(ClientError, match=r"The model returned the following errors: .*sometimes"),
    ):
        ask(runtime, LARGE_3, outputConfig=asked)


def picture(color: str = "red", kind: str = "png", **source: Any) -> dict[str, Any]:
    return {"image": {"format": kind, "source": source or {"bytes": png(color)}}}


@pytest.mark.parametrize("model", [PIXTRAL, LARGE_3])
def test_images_are_seen(service: str, model: str) -> None:
    region = "us-west-2" if model == PIXTRAL else "us-east-1"
    question = {"text": "What is this?"}
    with client(service, "AKIATEST", region) as runtime:
        answers = [
            ask(runtime, model, messages=[{"role": "user", "content": [question, *images]}])
            for images in ([], [picture()], [picture(), picture("blue")])
        ]
        events = stream(runtime, model, messages=[{"role": "user", "content": [picture()]}])
    counts = [answer["usage"]["inputTokens"] for answer in answers]

    assert counts[0] < counts[1] < counts[2]
    assert events[-2][0] == "messageStop"


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        ([picture(bytes=b"nonsense")], "following errors: An image is no PNG, JPEG, WebP or GIF"),
        ([picture(s3Location={"uri": "s3://bucket/a.png"})], "doesn't support the s3Uri field"),
        ([picture(bytes=bytes(3_750_003))], "An image may have 3750000 bytes, and no more."),
        ([picture()] * 21, "A message may have 20 images, and no more."),
    ],
)
def test_images_that_can_not_be_taken_are_named(
    runtime: Any, images: list[dict[str, Any]], sentence: str
) -> None:
    with pytest.raises(ClientError, match=sentence):
        ask(runtime, PIXTRAL, messages=[{"role": "user", "content": images}])


def speech(raw: bytes | None = None, kind: str = "wav", **source: Any) -> dict[str, Any]:
    return {"audio": {"format": kind, "source": source or {"bytes": raw or tone()}}}


@pytest.mark.parametrize("model", [VOXTRAL_MINI, VOXTRAL_SMALL])
def test_speech_is_heard(service: str, model: str) -> None:
    question = {"text": "What is being said?"}
    clips: list[list[dict[str, Any]]] = [
        [],
        [speech()],
        [speech(tone(hertz=880))],
        [speech(written("MP3"), "mp3"), speech(written("FLAC", 31), "flac")],
    ]
    with client(service, "AKIATEST", "us-east-1") as runtime:
        answers = [
            ask(runtime, model, messages=[{"role": "user", "content": [question, *more]}])
            for more in clips
        ]
        events = stream(runtime, model, messages=[{"role": "user", "content": [speech()]}])
    counts = [answer["usage"]["inputTokens"] for answer in answers]
    texts = [answer["output"]["message"]["content"][0]["text"] for answer in answers]

    assert [count - counts[0] for count in counts] == [0, 376, 376, 376 + 751]
    assert len(set(texts)) > 1
    assert events[-1][1]["usage"]["inputTokens"] == 3 + 376


@pytest.mark.parametrize(
    ("blocks", "sentence"),
    [
        ([speech(b"nonsense")], "following errors: .*Audio is no WAV, MP3, FLAC or Ogg"),
        ([speech(tone(), "m4a")], "following errors: .*Audio of the format m4a can't be read"),
        ([speech(s3Location={"uri": "s3://bucket/a.wav"})], "doesn't support the s3Uri field"),
        ([speech()] * 6, r"following errors: .*At most 5 audio\(s\) may be provided"),
        ([speech(), picture()], "doesn't support the image content block that you provided"),
        ([picture()], "doesn't support the image content block that you provided"),
    ],
)
def test_what_voxtral_can_not_hear_is_named(
    runtime: Any, blocks: list[dict[str, Any]], sentence: str
) -> None:
    with pytest.raises(ClientError, match=sentence):
        ask(runtime, VOXTRAL_MINI, messages=[{"role": "user", "content": blocks}])


@pytest.mark.parametrize("model", [SEVEN_B, LARGE, LARGE_3])
def test_others_take_no_speech(runtime: Any, model: str) -> None:
    sentence = "doesn't support the audio content block that you provided"
    with pytest.raises(ClientError, match=sentence):
        ask(runtime, model, messages=[{"role": "user", "content": [{"text": "Hi"}, speech()]}])


@pytest.mark.slow
def test_speech_that_does_not_fit_the_window_is_too_long(runtime: Any) -> None:
    clip = speech(written("FLAC", 2_640, 16_000), "flac")
    with pytest.raises(ClientError, match="maximum context length is 32768 tokens"):
        ask(runtime, VOXTRAL_MINI, messages=[{"role": "user", "content": [clip]}])


def test_a_guardrail_and_rules_look_at_the_words_beside_speech(
    bedrock: Bedrock, runtime: Any
) -> None:
    bedrock.reply("It hums.", last_user_message="being said")
    content = [{"text": "What is being said?"}, speech()]
    answer = ask(runtime, VOXTRAL_MINI, messages=[{"role": "user", "content": content}])

    assert answer["output"]["message"]["content"] == [{"text": "It hums."}]
    assert answer["usage"]["inputTokens"] == 384


def test_an_image_in_a_result_of_a_tool_is_refused(runtime: Any) -> None:
    use = {"toolUseId": "abcd12345", "name": "get_weather", "input": {}}
    result = {"toolUseId": "abcd12345", "content": [picture()]}
    messages = [
        USER,
        {"role": "assistant", "content": [{"toolUse": use}]},
        {"role": "user", "content": [{"toolResult": result}]},
    ]
    with pytest.raises(ClientError, match="doesn't support the image field for user messages"):
        ask(runtime, PIXTRAL, messages=messages, toolConfig=TOOLS)


@pytest.mark.parametrize("model", MODELS)
def test_a_text_comes_whole_and_as_events(bedrock: Bedrock, runtime: Any, model: str) -> None:
    text = " It rains, and 🦜 sing." if model in (SEVEN_B, MIXTRAL) else "It rains, and 🦜 sing."
    bedrock.reply(text)
    whole = ask(runtime, model)
    events = stream(runtime, model)
    kinds = [kind for kind, _ in events]
    deltas = [event for kind, event in events if kind == "contentBlockDelta"]
    usage = events[-1][1]["usage"]

    assert whole["output"]["message"] == {"role": "assistant", "content": [{"text": text}]}
    assert whole["stopReason"] == "end_turn"
    assert whole["usage"] == usage
    assert kinds == [
        "messageStart",
        *["contentBlockDelta"] * usage["outputTokens"],
        "contentBlockStop",
        "messageStop",
        "metadata",
    ]
    assert "".join(delta["delta"]["text"] for delta in deltas) == text
    assert deltas[-1]["delta"]["text"] == ""  # the EOS, as recorded
    assert events[-2] == ("messageStop", {"stopReason": "end_turn"})


def test_the_bytes_are_as_recorded(scripted: str) -> None:
    """Check the order of keys, the padding of events, and the order of a frame's headers."""
    body = {"messages": [USER], "inferenceConfig": {"maxTokens": 2}}
    response, raw = invoke(scripted, body, operation="converse")
    streamed, frames = invoke(scripted, body, operation="converse-stream")
    document = json.loads(raw)
    events = split_frames(frames)

    assert [name for name, _ in response.getheaders()] == [
        "Date",
        "Content-Type",
        "Content-Length",
        "Connection",
        "x-amzn-RequestId",
    ]
    assert list(document) == ["metrics", "output", "stopReason", "usage"]
    assert list(document["output"]["message"]) == ["content", "role"]
    assert list(document["usage"]) == [
        "inputTokens",
        "outputTokens",
        "serverToolUsage",
        "totalTokens",
    ]
    assert b": " not in raw
    assert streamed.headers["Content-Type"] == "application/vnd.amazon.eventstream"
    assert list(events[1].headers.items()) == [
        (":event-type", "contentBlockDelta"),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ]
    for event in events:
        payload = json.loads(event.payload)
        assert list(payload) == sorted(payload)
        assert 2 <= len(payload["p"]) <= 61


def test_the_prompt_of_the_first_models_is_text_with_a_second_bos(scripted: str) -> None:
    """Count 18 tokens for a text of 16, as recorded: one `<s>` is written and one added."""
    _, raw = invoke(scripted, {"messages": [USER]}, operation="converse")
    prompt = "<s>[INST] How is the weather? [/INST]"
    response, _ = invoke(scripted, {"prompt": prompt, "max_tokens": 1})
    counted = response.headers["X-Amzn-Bedrock-Input-Token-Count"]

    assert json.loads(raw)["usage"]["inputTokens"] == int(counted)


def test_limits_and_stop_sequences_are_in_force(bedrock: Bedrock, runtime: Any) -> None:
    bedrock.reply(" one two three four")
    short = ask(runtime, SEVEN_B, inferenceConfig={"maxTokens": 2})
    stopped = ask(runtime, SEVEN_B, inferenceConfig={"stopSequences": [" three"]})

    assert (short["output"]["message"]["content"], short["stopReason"]) == (
        [{"text": " one two"}],
        "max_tokens",
    )
    assert (stopped["output"]["message"]["content"], stopped["stopReason"]) == (
        [{"text": " one two"}],
        "end_turn",
    )


@pytest.mark.parametrize("model", CALLERS)
@pytest.mark.parametrize("choice", ["auto", "any"])
def test_tools_are_called_and_their_results_read(
    bedrock: Bedrock, runtime: Any, model: str, choice: str
) -> None:
    bedrock.reply("It is 7 degrees.")
    bedrock.rule(reply={"tool_calls": [CALL]}, when={"tool": "get_weather", "turn": 1}, times=1)
    tools = {**TOOLS, "toolChoice": {choice: {}}}
    called = ask(runtime, model, toolConfig=tools)
    message = called["output"]["message"]
    use = message["content"][0]["toolUse"]
    result = {"toolUseId": use["toolUseId"], "content": [{"json": {"degrees": 7}}]}
    answer = ask(
        runtime,
        model,
        messages=[USER, message, {"role": "user", "content": [{"toolResult": result}]}],
        toolConfig=tools,
    )

    assert called["stopReason"] == "tool_use"
    assert (use["name"], use["input"]) == ("get_weather", CALL["arguments"])
    assert len(use["toolUseId"]) == len("tooluse_") + 22
    assert answer["output"]["message"]["content"] == [{"text": "It is 7 degrees."}]
    assert answer["usage"]["inputTokens"] > called["usage"]["inputTokens"]


SEAS = ("Baltic", "Red", "Black")


def two_turns(count: int, *, turned: bool = False) -> list[dict[str, Any]]:
    """Return a question, some calls in one turn, and their results in the next."""
    ids = [f"abcdefgh{number}" for number in range(count)]
    uses = [{"toolUseId": each, "name": "get_weather", "input": {"city": each}} for each in ids]
    results = [
        {"toolUseId": each, "content": [{"text": sea}]}
        for each, sea in zip(ids, SEAS, strict=False)
    ]
    return [
        USER,
        {"role": "assistant", "content": [{"toolUse": use} for use in uses]},
        {
            "role": "user",
            "content": [{"toolResult": each} for each in results[:: -1 if turned else 1]],
        },
    ]


@pytest.mark.parametrize("model", CALLERS)
@pytest.mark.parametrize("count", [2, 3])
def test_the_results_of_several_calls_are_read(
    bedrock: Bedrock, runtime: Any, model: str, count: int
) -> None:
    bedrock.reply("Cold.", prompt={"regex": "\n".join(SEAS[:count])})
    bedrock.reply("Turned.", prompt={"regex": "\n".join(SEAS[:count][::-1])})
    one = ask(runtime, model, messages=two_turns(1), toolConfig=TOOLS)
    answers = [
        ask(runtime, model, messages=two_turns(count, turned=turned), toolConfig=TOOLS)
        for turned in (False, True)
    ]
    texts = [answer["output"]["message"]["content"][0]["text"] for answer in answers]

    assert texts == ["Cold.", "Turned."]
    assert answers[0]["usage"]["inputTokens"] > one["usage"]["inputTokens"]


def test_both_engines_read_the_results_of_several_calls(service: str) -> None:
    with client(service, "AKIDEXAMPLE", "us-east-1") as runtime:
        counts = [
            ask(runtime, model, messages=two_turns(count), toolConfig=TOOLS)["usage"]["inputTokens"]
            for model in (SMALL, LARGE_3)
            for count in (1, 2, 3)
        ]

    assert counts[0] < counts[1] < counts[2]
    assert counts[3] < counts[4] < counts[5]


def test_a_tool_is_called_in_a_stream(bedrock: Bedrock, runtime: Any) -> None:
    bedrock.rule(reply={"text": "Wait.", "tool_calls": [CALL, {"name": "stop"}]})
    schema = {"json": {"type": "object"}}
    offered = [*TOOLS["tools"], {"toolSpec": {"name": "stop", "inputSchema": schema}}]
    events = stream(runtime, LARGE_3, toolConfig={"tools": offered})
    blocks: dict[int, str] = {}
    counts: Counter[int] = Counter()
    for kind, event in events:
        if kind == "contentBlockDelta":
            counts[event["contentBlockIndex"]] += 1
            delta = event["delta"]
            text = delta["text"] if "text" in delta else delta["toolUse"]["input"]
            index = event["contentBlockIndex"]
            blocks[index] = blocks.get(index, "") + text
    starts = [event for kind, event in events if kind == "contentBlockStart"]

    assert blocks[0] == "Wait."
    assert json.loads(blocks[1]) == CALL["arguments"]
    assert json.loads(blocks[2]) == {}
    assert counts[1] > 3  # as the tokens come
    assert [event["contentBlockIndex"] for kind, event in events if kind == STOP] == [0, 1, 2]
    assert [start["start"]["toolUse"]["name"] for start in starts] == ["get_weather", "stop"]
    assert [start["contentBlockIndex"] for start in starts] == [1, 2]
    assert ("messageStop", {"stopReason": "tool_use"}) in events


def test_system_messages_and_more_fields_reach_the_model(runtime: Any) -> None:
    plain = ask(runtime, LARGE)["usage"]["inputTokens"]
    told = ask(runtime, LARGE, system=[{"text": "Be brief"}, {"text": "Be kind"}])
    more = ask(runtime, LARGE, additionalModelRequestFields={"top_k": 3, "max_tokens": 2})

    assert told["usage"]["inputTokens"] > plain
    assert more["usage"]["outputTokens"] == 2


DOCUMENTS = {
    "txt": b"The north is wet.",
    "md": b"# North\n\nwet",
    "csv": b"place,weather\nnorth,wet\n",
    "html": b"<html><script>dry()</script><p>The north is <b>wet</b>.</p></html>",
}


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_document_is_part_of_the_prompt(bedrock: Bedrock, runtime: Any, kind: str) -> None:
    bedrock.reply(" Read.", prompt={"regex": rf"<source>My notes.{kind}</source>\n.*wet"})
    source = {"bytes": DOCUMENTS[kind]}
    block = {"document": {"format": kind, "name": "My notes", "source": source}}
    answer = ask(
        runtime,
        SEVEN_B,
        messages=[{"role": "user", "content": [block, {"text": "Sum it up."}]}],
    )

    assert answer["output"]["message"]["content"] == [{"text": " Read."}]


def test_a_broken_document_is_a_sentence(runtime: Any) -> None:
    block = {"document": {"format": "pdf", "name": "notes", "source": {"bytes": b"no pdf"}}}
    content = [block, {"text": "Sum it up."}]
    with pytest.raises(ClientError, match=r"The document notes could not be read\.$"):
        ask(runtime, SEVEN_B, messages=[{"role": "user", "content": content}])


def test_faults_come_before_the_first_event_or_among_them(bedrock: Bedrock, runtime: Any) -> None:
    bedrock.fail("ThrottlingException", after_tokens=2, reply="one two three")
    bedrock.fail("ModelErrorException", times=1)
    with pytest.raises(ClientError, match="ModelErrorException"):
        stream(runtime, LARGE)
    with pytest.raises(EventStreamError, match="throttlingException"):
        stream(runtime, LARGE)
    failed, broken = bedrock.requests

    assert (failed["operation"], failed["status"]) == ("ConverseStream", 424)
    assert (broken["status"], broken["error"]["type"]) == (200, "ThrottlingException")
    assert broken["text"].strip() == "one two"


def test_rules_tell_the_operations_apart(bedrock: Bedrock, runtime: Any) -> None:
    bedrock.reply("By Converse.", operation="Converse", last_user_message="weather")

    assert ask(runtime, LARGE)["output"]["message"]["content"] == [{"text": "By Converse."}]
    assert stream(runtime, LARGE)[1][1]["delta"]["text"] == "Script"


def test_what_was_asked_for_is_in_the_answer(runtime: Any) -> None:
    answer = ask(runtime, LARGE, performanceConfig={"latency": "standard"})

    assert answer["performanceConfig"] == {"latency": "standard"}
    assert "performanceConfig" not in ask(runtime, LARGE)


@pytest.mark.parametrize(
    ("model", "path"), [(SEVEN_B, "/outputs/0/stop_reason"), (LARGE_3, "/choices/0/finish_reason")]
)
def test_fields_of_the_models_own_answer_are_there_if_asked_for(
    runtime: Any, model: str, path: str
) -> None:
    paths = [path, "/nothing", "/outputs/x"]
    limits = {"maxTokens": 1}
    whole = ask(runtime, model, additionalModelResponseFieldPaths=paths, inferenceConfig=limits)
    events = dict(
        stream(runtime, model, additionalModelResponseFieldPaths=paths, inferenceConfig=limits)
    )

    name = path.rpartition("/")[2]
    assert whole["additionalModelResponseFields"] == {name: "length"}
    assert events["messageStop"]["additionalModelResponseFields"] == {name: "length"}
    with pytest.raises(ClientError, match="The value outputs in additionalModelResponse"):
        ask(runtime, model, additionalModelResponseFieldPaths=["outputs"])


def test_both_engines_hold_a_conversation(service: str) -> None:
    with client(service, "AKIDEXAMPLE", "us-east-1") as runtime:
        for model in (SEVEN_B, MIXTRAL, SMALL, LARGE_3):
            answer = ask(runtime, model, inferenceConfig={"maxTokens": 7, "temperature": 0})
            again = stream(runtime, model, inferenceConfig={"maxTokens": 7, "temperature": 0})
            [block] = answer["output"]["message"]["content"]
            texts = [event["delta"]["text"] for kind, event in again if kind == "contentBlockDelta"]

            assert "".join(texts) == block["text"]
            assert 1 <= answer["usage"]["outputTokens"] <= 7
            assert answer["usage"] == again[-1][1]["usage"]
