"""Values of clients, quoted wherever they appear: in errors, in the journal, in the log."""

import json
from pathlib import Path
from typing import Any

import pytest

from invoke_api.observability.invocation_log import FILE_NAME
from tests.fuzzing.app import Alarms, Service, service_running
from tests.fuzzing.requests import FuzzRequest
from tests.fuzzing.values import DEEP, HUGE

HOST = (b"host", b"127.0.0.1")
JOURNAL = FuzzRequest("", "GET", b"/_emulator/requests", b"", (HOST,), b"")
CHAT = b"/model/mistral.mistral-large-3-675b-instruct"
TEXT = b"/model/mistral.mistral-7b-instruct-v0:2"
ODD = {
    "65 bits": "18446744073709551616",
    "-71 bits": str(-(2**70)),
    "5,000 digits": HUGE,
    "1e400": "1e400",
    "-0.0": "-0.0",
    "NaN": "NaN",
    "NUL": '"\\u0000"',
    "half of a pair": '"\\ud800"',
    "1 MB": '"' + "x" * 1_000_000 + '"',
    "a list in which 65 bits stand": "[18446744073709551616]",
    "a key of 1,000 characters": '{"' + "k" * 1_000 + '": 1}',
    "500 levels": "[" * 500 + "]" * 500,
    "1,000 levels": "[" * 1_000 + "]" * 1_000,
    "10,000 levels": "[" * DEEP + "]" * DEEP,
    "10,000 objects": '{"a":' * DEEP + "1" + "}" * DEEP,
}
SCHEMA = """{"messages": [{"role": "user", "content": "a"}], "response_format":
    {"type": "json_schema", "json_schema": {"schema": {"enum": [{}]}}}}"""
PARAMETERS = """{"messages": [{"role": "user", "content": [{"text": "a"}]}], "toolConfig":
    {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {}}}}]}}"""
INPUT = """{"messages": [{"role": "user", "content": [{"text": "a"}]}, {"role": "assistant",
    "content": [{"toolUse": {"toolUseId": "a", "name": "f", "input": {}}}]}]}"""
ADDITIONAL_FIELDS = """{"messages": [{"role": "user", "content": [{"text": "a"}]}],
    "additionalModelRequestFields": {"top_k": {}}}"""
CONFIG = '{"prompt": "a", "amazon-bedrock-guardrailConfig": {}}'
# Places of the value: a path, and a body around it.
PLACES = {
    "a body": (TEXT + b"/invoke", "{}"),
    "a text": (TEXT + b"/invoke", '{"prompt": {}}'),
    "an extraneous key": (TEXT + b"/invoke-with-response-stream", '{"prompt": "a", "b": {}}'),
    "a number": (TEXT + b"/invoke", '{"prompt": "a", "max_tokens": {}}'),
    "a list": (TEXT + b"/invoke", '{"prompt": "a", "stop": [{}]}'),
    "an enum": (CHAT + b"/invoke", '{"messages": [{"role": {}}]}'),
    "a choice": (CHAT + b"/invoke", '{"messages": [{"role": "user"}], "tool_choice": {}}'),
    "a content": (CHAT + b"/invoke", '{"messages": [{"role": "user", "content": {}}]}'),
    "a schema": (CHAT + b"/invoke", SCHEMA),
    "parameters of a tool": (CHAT + b"/converse", PARAMETERS),
    "input of a tool": (CHAT + b"/converse-stream", INPUT),
    "more fields": (TEXT + b"/converse", ADDITIONAL_FIELDS),
    "a role": (CHAT + b"/converse", '{"messages": [{"role": {}}]}'),
    "a guardrail's text": (
        b"/guardrail/abcdef123456/version/DRAFT/apply",
        '{"source": {}, "content": [{"text": {"text": {}}}]}',
    ),
    "a guardrail's config": (TEXT + b"/invoke", CONFIG),
    "a count": (TEXT + b"/count-tokens", '{"input": {}}'),
}


def put(place: str, value: str) -> FuzzRequest:
    path, around = PLACES[place]
    guarded = [
        (b"x-amzn-bedrock-guardrailidentifier", b"abcdef123456"),
        (b"x-amzn-bedrock-guardrailversion", b"DRAFT"),
    ]
    headers = (HOST, *(guarded if "guardrail" in place else ()))
    return FuzzRequest("", "POST", path, b"", headers, around.replace("{}", value).encode())


@pytest.mark.parametrize("odd", ODD)
async def test_an_odd_value_is_refused_or_taken_wherever_it_stands(
    services: dict[str, Service], alarms: Alarms, odd: str
) -> None:
    service = services["plain"]
    for place in PLACES:
        answer = await service.ask(put(place, ODD[odd]))

        assert answer.raised is None, place
        assert answer.status in (200, 400), place
        if answer.status == 400:
            assert json.loads(answer.body)["message"], place
    assert not alarms.heard


@pytest.mark.parametrize("odd", ODD)
async def test_the_journal_shows_a_body_with_an_odd_value(
    services: dict[str, Service], odd: str
) -> None:
    service = services["plain"]
    service.services.journal.clear()
    asked = put("a body", f"[{ODD[odd]}]")
    await service.ask(asked)

    answer = await service.ask(JOURNAL)
    assert answer.status == 200, answer
    [entry] = json.loads(answer.body, parse_constant=pytest.fail)["requests"]
    if isinstance(entry["body"], str):
        assert asked.body.decode().startswith(entry["body"])
    else:
        assert entry["body"] == json.loads(asked.body)


async def test_the_log_has_a_line_for_each_call_whatever_is_in_it(
    tmp_path: Path, alarms: Alarms
) -> None:
    bodies = [f'{{"prompt": "a", "max_tokens": 1, "b": {value}}}' for value in ODD.values()]
    path = TEXT + b"/invoke"
    metadata = [b'{"a": "b"}', *(value.encode() for value in ODD.values() if len(value) < 9_000)]
    async with service_running("everything", tmp_path) as service:
        for body in bodies:
            await service.ask(FuzzRequest("", "POST", path, b"", (HOST,), body.encode()))
        for value in metadata:
            headers = (HOST, (b"x-amzn-bedrock-request-metadata", value))
            await service.ask(FuzzRequest("", "POST", path, b"", headers, b'{"prompt": "a"}'))

    assert not alarms.heard
    lines = (tmp_path / FILE_NAME).read_text().splitlines()
    assert len(lines) == len(bodies) + len(metadata)
    records: list[Any] = [json.loads(line) for line in lines]
    assert records[len(bodies)]["requestMetadata"] == {"a": "b"}
