"""Forced tool calls, through a service without rules."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from botocore.exceptions import ClientError, EventStreamError
from jsonschema import Draft202012Validator

from invoke_api.testing import Bedrock
from tests.support.clients import client
from tests.support.servers import LARGE, LARGE_3, LARGE_2407, MINISTRAL_3B, PIXTRAL, SEVEN_B, SMALL

MINISTRAL_8B = "mistral.ministral-3-8b-instruct"
MAGISTRAL = "mistral.magistral-small-2509"
DEVSTRAL = "mistral.devstral-2-123b"
OF_2025 = [LARGE_3, MINISTRAL_8B, MAGISTRAL, DEVSTRAL]
CALLERS = [LARGE, SMALL, LARGE_2407, PIXTRAL, *OF_2025]
USER = {"role": "user", "content": "Name a sea."}
SEA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "salt": {"enum": ["much", "little"]},
        "depths": {"type": "array", "items": {"$ref": "#/$defs/depth"}, "minItems": 1},
    },
    "required": ["name", "salt", "depths"],
    "$defs": {"depth": {"type": "object", "properties": {"m": {"type": "number"}}}},
}
LAKE = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 9}}}
SCHEMAS = {"sea": SEA, "lake": LAKE}


def invoke(runtime: Any, model: str, choice: Any, **body: Any) -> Any:
    tools = [
        {"type": "function", "function": {"name": name, "parameters": schema}}
        for name, schema in SCHEMAS.items()
    ]
    asked = {"messages": [USER], "tools": tools, "tool_choice": choice, **body}
    return runtime.invoke_model(modelId=model, body=json.dumps(asked))


def invoked(runtime: Any, model: str, choice: Any, **body: Any) -> dict[str, Any]:
    with invoke(runtime, model, choice, **body)["body"] as raw:
        answer: dict[str, Any] = json.load(raw)["choices"][0]
    return answer


def asked(model: str, choice: dict[str, Any], **body: Any) -> dict[str, Any]:
    specs = [
        {"toolSpec": {"name": name, "inputSchema": {"json": schema}}}
        for name, schema in SCHEMAS.items()
    ]
    turn = {"role": "user", "content": [{"text": USER["content"]}]}
    config = {"tools": specs, "toolChoice": choice}
    return {"modelId": model, "messages": [turn], "toolConfig": config, **body}


def uses(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the calls of an answer that has only calls."""
    assert answer["stopReason"] == "tool_use"
    return [block["toolUse"] for block in answer["output"]["message"]["content"]]


def events_of(runtime: Any, model: str, choice: dict[str, Any], **body: Any) -> list[Any]:
    with closing(runtime.converse_stream(**asked(model, choice, **body))["stream"]) as stream:
        return [pair for event in stream for pair in event.items()]


def streamed(events: list[Any]) -> Iterator[tuple[str, Any]]:
    """Yield the name and arguments of each call in a stream that has only calls."""
    parts: dict[int, str] = {}
    names: dict[int, str] = {}
    for kind, event in events:
        if kind == "contentBlockStart":
            names[event["contentBlockIndex"]] = event["start"]["toolUse"]["name"]
        if kind == "contentBlockDelta":
            index = event["contentBlockIndex"]
            parts[index] = parts.get(index, "") + event["delta"]["toolUse"]["input"]
    assert ("messageStop", {"stopReason": "tool_use"}) in events
    assert parts.keys() == names.keys()
    for index, name in names.items():
        yield name, json.loads(parts[index])


def validate(name: str, arguments: Any) -> None:
    Draft202012Validator(SCHEMAS[name]).validate(arguments)


@pytest.mark.parametrize("model", CALLERS)
def test_any_by_converse_is_a_call(bedrock: Bedrock, model: str) -> None:
    region = "us-east-1" if model == SMALL else "us-west-2"
    with client(bedrock.url, bedrock.access_key_id, region) as runtime:
        [use] = uses(runtime.converse(**asked(model, {"any": {}})))

    assert use["name"] == "sea"
    validate("sea", use["input"])


@pytest.mark.parametrize("model", OF_2025)
def test_any_by_converse_stream_is_a_call(runtime: Any, model: str) -> None:
    events = events_of(runtime, model, {"any": {}})
    [(name, arguments)] = streamed(events)
    kinds = [kind for kind, _ in events]

    assert name == "sea"
    validate("sea", arguments)
    assert kinds[:2] == ["messageStart", "contentBlockStart"]
    assert kinds[-3:] == ["contentBlockStop", "messageStop", "metadata"]
    assert kinds.count("contentBlockDelta") > 3  # the arguments come token by token


@pytest.mark.parametrize(
    ("model", "choice"),
    [
        (LARGE_2407, "any"),
        (PIXTRAL, "any"),
        *((model, choice) for model in OF_2025 for choice in ("any", "required")),
    ],
)
def test_any_and_required_by_invoke_model_are_a_call(runtime: Any, model: str, choice: str) -> None:
    answer = invoked(runtime, model, choice)
    [call] = answer["message"]["tool_calls"]

    assert answer.get("finish_reason", answer.get("stop_reason")) == "tool_calls"
    assert not answer["message"]["content"]
    assert call["function"]["name"] == "sea"
    validate("sea", json.loads(call["function"]["arguments"]))


@pytest.mark.parametrize("model", OF_2025)
def test_a_named_function_is_called(runtime: Any, model: str) -> None:
    answer = invoked(runtime, model, {"type": "function", "function": {"name": "lake"}})
    [call] = answer["message"]["tool_calls"]

    assert call["function"]["name"] == "lake"
    validate("lake", json.loads(call["function"]["arguments"]))


@pytest.mark.parametrize("model", [LARGE_3, MINISTRAL_3B, MINISTRAL_8B, DEVSTRAL])
def test_a_named_tool_is_called(runtime: Any, model: str) -> None:
    choice = {"tool": {"name": "lake"}}
    [use] = uses(runtime.converse(**asked(model, choice)))
    [(name, arguments)] = streamed(events_of(runtime, model, choice))

    assert use["name"] == name == "lake"
    validate("lake", use["input"])
    assert arguments == use["input"]


def test_magistral_ignores_the_name_of_a_tool(runtime: Any) -> None:
    named = runtime.converse(**asked(MAGISTRAL, {"tool": {"name": "lake"}}))
    auto = runtime.converse(**asked(MAGISTRAL, {"auto": {}}))

    assert named["output"] == auto["output"]
    assert named["stopReason"] == "end_turn"
    assert named["usage"] == auto["usage"]


def test_a_forced_call_wins_over_a_schema(runtime: Any) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    structure = {"jsonSchema": {"schema": '{"type": "object"}', "name": "x"}}
    output = {"textFormat": {"type": "json_schema", "structure": structure}}

    assert invoked(runtime, LARGE_3, "required", response_format=schema)["message"]["tool_calls"]
    assert uses(runtime.converse(**asked(LARGE_3, {"any": {}}, outputConfig=output)))


def test_a_call_that_is_cut_ends_by_its_length(runtime: Any) -> None:
    limits = {"maxTokens": 5}
    answer = runtime.converse(**asked(LARGE_3, {"any": {}}, inferenceConfig=limits))

    assert answer["stopReason"] == "max_tokens"
    assert invoked(runtime, LARGE_2407, "any", max_tokens=5)["stop_reason"] == "length"


@pytest.mark.parametrize("number", ["1e999", "1" + "0" * 400])
def test_a_number_in_a_schema_may_be_large(runtime: Any, number: str) -> None:
    function = {"name": "f", "parameters": {"properties": {"a": {"const": "NUMBER"}}}}
    body = {
        "messages": [USER],
        "tools": [{"type": "function", "function": function}],
        "tool_choice": "required",
    }
    raw = json.dumps(body).replace('"NUMBER"', number)
    with runtime.invoke_model(modelId=LARGE_3, body=raw)["body"] as answer:
        [choice] = json.load(answer)["choices"]

    assert choice["message"]["tool_calls"][0]["function"]["name"] == "f"


def test_a_rule_may_answer_with_text_all_the_same(bedrock: Bedrock, runtime: Any) -> None:
    bedrock.reply("The North Sea.")
    answer = runtime.converse(**asked(LARGE, {"any": {}}))

    assert answer["output"]["message"]["content"] == [{"text": "The North Sea."}]
    assert answer["stopReason"] == "end_turn"


def test_the_models_own_answer_has_the_call_too(runtime: Any) -> None:
    paths = ["/choices/0/message/tool_calls/0/function/name"]
    more = {"additionalModelResponseFieldPaths": paths}
    answer = runtime.converse(**asked(LARGE_3, {"any": {}}, **more))

    assert answer["additionalModelResponseFields"] == {"name": "sea"}


NO_SUCH_TOOL = "The tool specified in `tool_choice` does not match any of the specified `tools`"
NO_TOOLS = "When using `tool_choice`, `tools` must be set."


def test_a_tool_that_is_not_offered_is_refused(runtime: Any) -> None:
    choice = {"tool": {"name": "river"}}
    function = {"type": "function", "function": {"name": "river"}}
    with pytest.raises(
        ClientError, match=f"ValidationException.*following errors: .*{NO_SUCH_TOOL}"
    ):
        runtime.converse(**asked(LARGE_3, choice))
    with pytest.raises(EventStreamError, match=NO_SUCH_TOOL):
        events_of(runtime, LARGE_3, choice)
    with pytest.raises(ClientError, match=f"ValidationException.*{NO_SUCH_TOOL}"):
        invoke(runtime, LARGE_3, function)
    for wanted in ("required", function):
        with pytest.raises(ClientError, match=f"ValidationException.*{NO_TOOLS}"):
            invoke(runtime, LARGE_3, wanted, tools=[])


@pytest.mark.parametrize("model", [LARGE, LARGE_2407, PIXTRAL])
def test_older_models_refuse_the_name_of_a_tool(runtime: Any, model: str) -> None:
    with pytest.raises(ClientError, match=r"doesn't support the toolConfig\.toolChoice\.tool"):
        runtime.converse(**asked(model, {"tool": {"name": "lake"}}))


def test_models_that_stream_no_tools_refuse_as_ever(runtime: Any) -> None:
    for model in (SEVEN_B, LARGE, LARGE_2407, PIXTRAL):
        with pytest.raises(ClientError, match="doesn't support tool use in streaming mode"):
            events_of(runtime, model, {"any": {}})
