"""Forced tool calls: each row, sent to the service."""

import json
from typing import Any

import pytest

from tests.fidelity import calls
from tests.fidelity.wire import REMOTE
from tests.support.clients import client
from tests.support.servers import LARGE_2407

OBJECT = {"type": "object"}
FORMAT = {"type": "json_schema", "structure": {"jsonSchema": {"schema": json.dumps(OBJECT)}}}


@pytest.mark.skipif(REMOTE, reason="Bedrock's models choose themselves")
@pytest.mark.parametrize("row", calls.TABLE, ids=lambda row: row.name)
def test_a_tool_is_called_as_on_bedrock(row: calls.Choice, scripted: str) -> None:
    region = "us-west-2" if row.model == LARGE_2407 else "us-east-1"
    with client(scripted, "AKIDEXAMPLE", region) as runtime:
        called = by_converse(runtime, row) if row.by_converse else by_invoke_model(runtime, row)

    if row.called == "any":
        assert set(called) <= {"first", "second"}
        assert called
    else:
        assert called == ([row.called] if row.called else [])


def by_converse(runtime: Any, row: calls.Choice) -> list[str]:
    """Return the names of the tools that the answer calls."""
    specs = [{"name": name, "inputSchema": {"json": OBJECT}} for name in ("first", "second")]
    tools = [{"toolSpec": spec} for spec in specs]
    more = {"outputConfig": {"textFormat": FORMAT}} if "schema" in row.name else {}
    answer = runtime.converse(
        modelId=row.model,
        messages=[{"role": "user", "content": [{"text": "Hi"}]}],
        toolConfig={"tools": tools, "toolChoice": row.choice},
        **more,
    )
    blocks = answer["output"]["message"]["content"]
    called = [block["toolUse"]["name"] for block in blocks if "toolUse" in block]
    assert answer["stopReason"] == ("tool_use" if called else "end_turn")
    return called


def by_invoke_model(runtime: Any, row: calls.Choice) -> list[str]:
    """Return the names of the tools that InvokeModel's answer calls."""
    functions = [{"name": name, "parameters": OBJECT} for name in ("first", "second")]
    body = {
        "messages": [{"role": "user", "content": "Hi"}],
        "tools": [{"type": "function", "function": function} for function in functions],
        "tool_choice": row.choice,
    }
    with runtime.invoke_model(modelId=row.model, body=json.dumps(body))["body"] as raw:
        [choice] = json.load(raw)["choices"]
    called = [call["function"]["name"] for call in choice["message"].get("tool_calls") or ()]
    assert choice.get("finish_reason", choice.get("stop_reason")) == "tool_calls"
    return called
