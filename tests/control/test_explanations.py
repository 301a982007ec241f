"""`/_emulator/explain`, and the pointers from the paths of other services' probes."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support.servers import LARGE, SEVEN_B, call

KEY = "AKIDEXPLAIN"
TOOLS = {
    "tools": [
        {"toolSpec": {"name": "get_weather", "inputSchema": {"json": {"type": "object"}}}},
    ]
}
ASKED = {"role": "user", "content": [{"text": "How is the weather?"}]}
CALLED = {
    "role": "assistant",
    "content": [{"toolUse": {"toolUseId": "abcdefghi", "name": "get_weather", "input": {}}}],
}
RESULT = {
    "role": "user",
    "content": [{"toolResult": {"toolUseId": "abcdefghi", "content": [{"text": "12 degrees"}]}}],
}


@pytest.fixture
def url(scripted: str) -> Iterator[str]:
    yield scripted
    call(scripted, "POST", f"/_emulator/reset?scope={KEY}")


@pytest.fixture
def runtime(url: str) -> Iterator[Any]:
    made = boto3.client(
        "bedrock-runtime",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=KEY,
        aws_secret_access_key="secret",
    )
    with closing(made):
        yield made


def rule(url: str, **document: Any) -> None:
    body = json.dumps(document).encode()
    response, said = call(url, "POST", f"/_emulator/rules?scope={KEY}", body)
    assert response.status == 201, said


def explain(url: str, request_id: str) -> dict[str, Any]:
    response, body = call(url, "GET", f"/_emulator/explain/{request_id}")
    assert response.status == 200, body
    found: dict[str, Any] = json.loads(body)
    return found


def converse(runtime: Any, *messages: Any, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = runtime.converse(
        modelId=LARGE, messages=list(messages), toolConfig=TOOLS, **more
    )
    return found


def test_a_conversation_with_a_tool_is_two_rules(url: str, runtime: Any) -> None:
    rule(
        url,
        when={"has_tool_result": False, "step": 1},
        reply={"tool_calls": [{"name": "get_weather"}]},
    )
    rule(url, when={"tool_result": "12", "step": 2}, reply="It is cold.")
    first = converse(runtime, ASKED)
    second = converse(runtime, ASKED, CALLED, RESULT)

    assert first["stopReason"] == "tool_use"
    assert second["output"]["message"]["content"] == [{"text": "It is cold."}]


def test_one_rule_may_call_first_and_talk_then(url: str, runtime: Any) -> None:
    rule(url, reply=[{"text": "Wait.", "tool_calls": [{"name": "get_weather"}]}, "It is cold."])
    first, second = converse(runtime, ASKED), converse(runtime, ASKED, CALLED, RESULT)

    assert first["stopReason"] == "tool_use"
    assert second["output"]["message"]["content"] == [{"text": "It is cold."}]


def test_metadata_and_system_texts_are_matched(url: str, runtime: Any) -> None:
    rule(url, when={"metadata": {"team": "blue"}, "system": "brief"}, reply="Matched.")
    found = runtime.converse(
        modelId=LARGE,
        messages=[ASKED],
        system=[{"text": "Be brief."}],
        requestMetadata={"team": "blue"},
    )
    rule(url, when={"metadata": {"team": "red*"}}, reply=" By header.")
    answer = runtime.invoke_model(
        modelId=SEVEN_B, body='{"prompt": "Hi"}', requestMetadata='{"team": "red-1"}'
    )

    assert found["output"]["message"]["content"] == [{"text": "Matched."}]
    assert json.load(answer["body"])["outputs"][0]["text"] == " By header."


def test_a_rule_that_calls_a_tool_that_is_not_offered_is_an_error(url: str, runtime: Any) -> None:
    rule(url, reply={"tool_calls": [{"name": "get_wether"}]})
    with pytest.raises(ClientError, match="no tool 'get_wether'; did you mean get_weather"):
        converse(runtime, ASKED)
    with pytest.raises(ClientError, match="the request offers no tools"):
        runtime.converse(modelId=LARGE, messages=[ASKED])


def test_a_miss_is_explained_by_its_request_id(url: str, runtime: Any) -> None:
    rule(url, when={"prompt": "rain"}, reply="Yes.")
    answer = converse(runtime, ASKED)
    request_id = answer["ResponseMetadata"]["RequestId"]
    found = explain(url, request_id)

    assert found["rules"][0]["because"] == ["prompt lacks 'rain'"]
    assert found["nearest"]["diff"] == ["- prompt: 'rain'", "+ prompt: 'How is the weather?'"]
    assert found["engine"] == "scripted"
    _, body = call(url, "GET", f"/_emulator/explain?scope={KEY}")
    assert json.loads(body)["report"] == found["report"]
    assert found["report"][0] == (
        f"Call {request_id}, Converse of {LARGE}: no rule answered; the engine scripted did"
    )


def test_a_call_that_failed_before_the_rules_says_so(url: str, runtime: Any) -> None:
    rule(url, reply="Yes.")
    with pytest.raises(ClientError) as caught:
        converse(runtime, ASKED, inferenceConfig={"maxTokens": 1_000_000})
    found = explain(url, caught.value.response["ResponseMetadata"]["RequestId"])

    assert found["rules"] == []
    assert "the service failed it with ValidationException: " in found["report"][0]


def test_an_unknown_request_id_is_not_found(url: str) -> None:
    response, body = call(url, "GET", "/_emulator/explain/none")

    assert response.status == 404
    assert json.loads(body)["error"].startswith("The journal has no call 'none'")


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_the_paths_of_other_probes_point_to_those_here(url: str, path: str) -> None:
    response, body = call(url, "GET", path)

    assert response.status == 404
    assert json.loads(body) == {"error": f"There is no {path}; ask /_emulator{path}."}
