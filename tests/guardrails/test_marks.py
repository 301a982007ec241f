"""Control tokens in answers do not evade a guardrail: all text that clients get is assessed."""

import json
from contextlib import closing
from typing import Any

import pytest

from invoke_api.testing import Bedrock, ToolCall
from tests.support.servers import LARGE_3, LARGE_2407, MINISTRAL_3B, SEVEN_B

ID = "abcdef123456"
SILENCED = "I shouldn't answer this question"
SCHEMA = {"type": "object", "properties": {}}
# Without its control tokens, each of these is blocked. The offered tool, if any, is `mail`.
BLOCKED = [
    " ok [TOOL_CALLS] cactus 123-45-6789",
    "[TOOL_CALLS] cactus",
    "[TOOL_CALLS][TOOL_CALLS]cactus",
    "ok[TOOL_CALLS]mail[ARGS]{ cactus",
    'ok[TOOL_CALLS] [{"name": "cactus", "arguments": {}}]',
    "ok [TOOL_CALLS]cactus[ARGS]{}",
    "ok[TOOL_CALLS]mail[ARGS]{}[TOOL_CALLS]other[ARGS]{} cactus",
    "cac[ARGS]tus [TOOL_CALLS] a cactus",
    "ok[TOOL_[TOOL_CALLS]CALLS] cactus",
]
MODELS = [SEVEN_B, LARGE_2407, LARGE_3, MINISTRAL_3B]
KNOWS_TOOLS = [LARGE_2407, LARGE_3]


def converse(runtime: Any, model: str, *, tools: bool = False, **more: Any) -> str:
    """Return all that a client gets, as JSON."""
    answer = runtime.converse(**conversation(model, tools=tools, **more))
    told: str = json.dumps([answer["output"], answer.get("additionalModelResponseFields")])
    return told


def converse_stream(runtime: Any, model: str, *, tools: bool = False, mode: str = "sync") -> str:
    request = conversation(model, tools=tools)
    request["guardrailConfig"]["streamProcessingMode"] = mode
    with closing(runtime.converse_stream(**request)["stream"]) as events:
        told = [event for event in events if "metadata" not in event]
    return "".join(texts_in(told))


def texts_in(value: Any) -> list[str]:
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return [text for each in inner for text in texts_in(each)]
    return [value] if isinstance(value, str) else []


def conversation(model: str, *, tools: bool, **more: Any) -> dict[str, Any]:
    spec = {"name": "mail", "inputSchema": {"json": SCHEMA}}
    offered = {"toolConfig": {"tools": [{"toolSpec": spec}]}} if tools else {}
    return {
        "modelId": model,
        "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
        "guardrailConfig": {"guardrailIdentifier": ID, "guardrailVersion": "1"},
        **offered,
        **more,
    }


def invoked(model: str, *, tools: bool, mode: str = "") -> dict[str, Any]:
    body: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}]}
    if model == SEVEN_B:
        body = {"prompt": "Hi"}
    if tools:
        body["tools"] = [{"type": "function", "function": {"name": "mail", "parameters": SCHEMA}}]
    if mode:
        body["amazon-bedrock-guardrailConfig"] = {"streamProcessingMode": mode}
    return {
        "modelId": model,
        "body": json.dumps({**body, "max_tokens": 90}),
        "guardrailIdentifier": ID,
        "guardrailVersion": "1",
    }


def invoke(runtime: Any, model: str, *, tools: bool = False) -> str:
    with runtime.invoke_model(**invoked(model, tools=tools))["body"] as raw:
        told: str = raw.read().decode()
    return told


def invoke_stream(runtime: Any, model: str, *, tools: bool = False, mode: str) -> str:
    request = invoked(model, tools=tools, mode=mode)
    with closing(runtime.invoke_model_with_response_stream(**request)["body"]) as events:
        chunks = [json.loads(event["chunk"]["bytes"]) for event in events]
    return "".join(texts_in(chunks))


@pytest.mark.parametrize("text", BLOCKED)
@pytest.mark.parametrize("model", MODELS)
def test_no_mark_hides_text_where_no_tool_is_offered(
    runtime: Any, bedrock: Bedrock, model: str, text: str
) -> None:
    bedrock.reply(text)
    told = [
        converse(runtime, model),
        converse_stream(runtime, model),
        converse_stream(runtime, model, mode="async"),
        invoke(runtime, model),
        invoke_stream(runtime, model, mode="SYNCHRONOUS"),
        invoke_stream(runtime, model, mode="ASYNCHRONOUS"),
    ]

    assert [each for each in told if "cactus" in each or SILENCED not in each] == []


@pytest.mark.parametrize("text", BLOCKED)
@pytest.mark.parametrize("model", KNOWS_TOOLS)
def test_no_mark_hides_text_that_is_no_call_of_a_tool_that_is_offered(
    runtime: Any, bedrock: Bedrock, model: str, text: str
) -> None:
    bedrock.reply(text)
    told = [
        converse(runtime, model, tools=True),
        invoke(runtime, model, tools=True),
        invoke_stream(runtime, model, tools=True, mode="SYNCHRONOUS"),
        invoke_stream(runtime, model, tools=True, mode="ASYNCHRONOUS"),
    ]
    if model == LARGE_3:  # other models take no tools in streams
        told.append(converse_stream(runtime, model, tools=True))
        told.append(converse_stream(runtime, model, tools=True, mode="async"))

    assert [each for each in told if "cactus" in each or SILENCED not in each] == []


def test_a_call_that_is_cut_short_is_text(runtime: Any, bedrock: Bedrock) -> None:
    bedrock.reply('ok[TOOL_CALLS]mail[ARGS]{"to": "a cactus", "more": "END"}')
    cut = {"stopSequences": ["END"]}
    told = converse(runtime, LARGE_2407, tools=True, inferenceConfig=cut)

    assert SILENCED in told
    assert "cactus" not in told


def test_a_model_that_must_call_and_does_not_is_looked_at(runtime: Any, bedrock: Bedrock) -> None:
    bedrock.reply("A cactus, please")
    spec = {"name": "mail", "inputSchema": {"json": SCHEMA}}
    forced = {"tools": [{"toolSpec": spec}], "toolChoice": {"any": {}}}
    told = converse(runtime, LARGE_3, toolConfig=forced)

    assert SILENCED in told
    assert "cactus" not in told


def test_text_is_masked_and_the_call_behind_it_is_made(runtime: Any, bedrock: Bedrock) -> None:
    call: ToolCall = {"name": "mail", "arguments": {"to": "a@b.org"}}
    bedrock.rule(reply={"text": "To c@d.org", "tool_calls": [call]})
    request = conversation(LARGE_3, tools=True)
    answer = runtime.converse(**request)
    text, use = answer["output"]["message"]["content"]
    events = converse_stream(runtime, LARGE_3, tools=True)

    assert text == {"text": "To {EMAIL}"}
    assert use["toolUse"]["input"] == {"to": "a@b.org"}
    assert "To {EMAIL}" in events
    assert '{"to":"a@b.org"}' in events


def test_a_call_of_a_tool_that_was_not_offered_is_text(runtime: Any, bedrock: Bedrock) -> None:
    bedrock.reply('[TOOL_CALLS]post[ARGS]{"to": "a@b.org"}')
    told = converse(runtime, LARGE_3, tools=True)

    assert "toolUse" not in told
    assert "{EMAIL}" in told
    assert "a@b.org" not in told


def test_fields_of_the_models_own_answer_are_of_what_was_let_out(
    runtime: Any, bedrock: Bedrock
) -> None:
    bedrock.reply("a@b.org ca[AR[ARGS]GS]ctus [TOOL_CALLS] x")
    paths = ["/choices/0/message/content"]
    told = json.loads(converse(runtime, LARGE_3, additionalModelResponseFieldPaths=paths))
    [message, more] = told

    assert more["content"] == message["message"]["content"][0]["text"]
    assert "{EMAIL}" in message["message"]["content"][0]["text"]
