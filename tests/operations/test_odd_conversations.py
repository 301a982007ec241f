"""Unusual conversations: each gets an answer or an error message, never status 500."""

import json
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import pytest
from openpyxl import Workbook

from invoke_api.testing import Bedrock
from tests.support.servers import LARGE, LARGE_3, SEVEN_B, call, invoke
from tests.support.streams import split_frames

USER: dict[str, Any] = {"role": "user", "content": [{"text": "Hi"}]}
BIG = "9" * 5_000
SCHEMA = {"type": "object", "properties": {"x": {"minimum": 0.5}}}
TOOL = {"toolSpec": {"name": "f", "inputSchema": {"json": SCHEMA}}}


def deep(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


def use(arguments: str) -> str:
    """Return a body in which the assistant has called a tool with this input."""
    block = f'{{"toolUse":{{"toolUseId":"abcd12345","name":"f","input":{arguments}}}}}'
    result = '{"toolResult":{"toolUseId":"abcd12345","content":[{"json":{"a":1.5}}]}}'
    return (
        f'{{"messages":[{json.dumps(USER)},{{"role":"assistant","content":[{block}]}},'
        f'{{"role":"user","content":[{result}]}}],"toolConfig":{json.dumps({"tools": [TOOL]})}}}'
    )


def workbook(cell: str) -> str:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet[cell] = "far away"
    file = BytesIO()
    book.save(file)
    return b64encode(file.getvalue()).decode()


def with_document(kind: str, encoded: str) -> str:
    block = {"document": {"format": kind, "name": "notes", "source": {"bytes": encoded}}}
    return json.dumps({"messages": [{"role": "user", "content": [block, {"text": "Sum it up"}]}]})


CONVERSATIONS = {
    "a decimal in a tool's schema": json.dumps(
        {"messages": [USER], "toolConfig": {"tools": [TOOL]}}
    ),
    "decimals and large numbers in a call": use('{"a":1.25,"b":123456789012345678901}'),
    "a call nested as deep as a body may be": use(deep(490)),
    "a number of 5,000 digits in a call": use(f'{{"a":{BIG}}}'),
    "a number of 5,000 digits in a schema": (
        f'{{"messages":[{json.dumps(USER)}],"toolConfig":{{"tools":[{{"toolSpec":{{"name":"f",'
        f'"inputSchema":{{"json":{{"type":"object","maximum":{BIG}}}}}}}}}]}}}}'
    ),
    "a schema nested as deep as a body may be": (
        f'{{"messages":[{json.dumps(USER)}],"toolConfig":{{"tools":[{{"toolSpec":{{"name":"f",'
        f'"inputSchema":{{"json":{{"type":"object","properties":{deep(480)}}}}}}}}}]}}}}'
    ),
    "half a surrogate pair in a call": use('{"a":"\\\\ud800"}'),
    "fields that are a text": json.dumps(
        {"messages": [USER], "additionalModelRequestFields": "abc"}
    ),
    "fields that are a list": json.dumps({"messages": [USER], "additionalModelRequestFields": [1]}),
    "a number beyond all decimals": '{"inferenceConfig":{"topP":1e9999999999999999999}}',
    "a document that is no base64": with_document("txt", "é"),
    "a workbook with a cell far below": with_document("xlsx", workbook("XFD1048576")),
    "a call in a user's turn": json.dumps(
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"toolUse": {"toolUseId": "a", "name": "f", "input": {}}}],
                }
            ]
        }
    ),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
@pytest.mark.parametrize("model", [LARGE, LARGE_3, SEVEN_B])
def test_it_is_answered_or_refused(scripted: str, name: str, model: str) -> None:
    for operation in ("converse", "converse-stream"):
        response, body = invoke(scripted, CONVERSATIONS[name].encode(), model, operation)

        assert response.status in (200, 400), body


CHATS = [
    [{"role": "user", "content": None}],
    [{"role": "assistant", "tool_calls": [{}]}],
    *(
        [
            {"role": "user", "content": "Hi"},
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "abcd12345", "function": {"name": "f", "arguments": arguments}}
                ],
            },
            {"role": "tool", "tool_call_id": "abcd12345", "content": arguments},
        ]
        for arguments in (f'{{"a":{BIG}}}', "[" * 100_000, '{"a":"\\ud800"}', "[[[[")
    ),
]


@pytest.mark.parametrize("number", range(len(CHATS)))
@pytest.mark.parametrize("model", [LARGE_3, "us.mistral.pixtral-large-2502-v1:0"])
def test_a_chat_is_answered_or_refused(scripted: str, number: int, model: str) -> None:
    response, body = invoke(scripted, {"messages": CHATS[number]}, model)

    assert response.status in (200, 400), body


@pytest.fixture
def bedrock(scripted: str) -> Iterator[Bedrock]:
    emulated = Bedrock(scripted)
    yield emulated
    emulated.reset()


def ask(bedrock: Bedrock, operation: str, **body: Any) -> tuple[int, bytes]:
    credential = f"{bedrock.access_key_id}/20260101/us-east-1/bedrock/aws4_request"
    signed = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"
    document = {"messages": [USER], "toolConfig": {"tools": [TOOL]}, **body}
    raw = json.dumps(document).encode()
    path = f"/model/{LARGE_3}/{operation}"
    response, answer = call(bedrock.url, "POST", path, raw, Authorization=signed)
    return response.status, answer


def test_an_argument_of_a_tool_may_be_a_large_number(bedrock: Bedrock) -> None:
    number = 123456789012345678901
    bedrock.rule(reply={"tool_calls": [{"name": "f", "arguments": {"n": number}}]})
    _, whole = ask(bedrock, "converse")
    _, stream = ask(bedrock, "converse-stream")
    deltas = [json.loads(frame.payload) for frame in split_frames(stream)]
    given = [event["delta"]["toolUse"]["input"] for event in deltas if "delta" in event]

    [block] = json.loads(whole)["output"]["message"]["content"]
    assert block["toolUse"]["input"] == {"n": number}
    assert json.loads("".join(given)) == {"n": number}


@pytest.mark.parametrize("stop", ["CALLS", "[", "]"])
def test_a_stop_sequence_is_not_found_in_the_name_of_a_mark(bedrock: Bedrock, stop: str) -> None:
    bedrock.rule(reply={"text": "Hi", "tool_calls": [{"name": "f", "arguments": {"n": 1}}]})
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    messages = [{"role": "user", "content": "Hi"}]
    body = json.dumps({"messages": messages, "tools": tools, "stop": [stop]})
    credential = f"{bedrock.access_key_id}/20260101/us-east-1/bedrock/aws4_request"
    signed = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"
    path = f"/model/{LARGE_3}/invoke"
    _, raw = call(bedrock.url, "POST", path, body.encode(), Authorization=signed)
    [choice] = json.loads(raw)["choices"]

    assert choice["message"]["content"] == "Hi"
    assert choice["message"]["tool_calls"][0]["function"]["name"] == "f"


def test_a_workbook_delays_no_other_call(scripted: str) -> None:
    body = with_document("xlsx", workbook("XFD1048576")).encode()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(invoke, scripted, body, SEVEN_B, "converse")
        worst = 0.0
        while not reading.done():
            began = time.monotonic()
            call(scripted, "GET", "/_emulator/health")
            worst = max(worst, time.monotonic() - began)
        response, raw = reading.result()

    assert response.status == 200, raw
    assert worst < 1
