"""Fixtures of aimock and of Step Functions Local become rules, and what differs is said."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from invoke_api.conversion.fixture_files import convert_file
from invoke_api.models.registry import DEFAULT_REGISTRY, load_registry
from invoke_api.rules.parser import parse_rules
from invoke_api.rules.rule_book import RuleBook
from invoke_api.yaml_files import ConfigError
from tests.rules.test_rule_book import asked
from tests.support.servers import COMMAND, LARGE, SEVEN_B

MODELS = [SEVEN_B, LARGE]
CALL = {"name": "get_weather", "arguments": {"city": "Oslo"}}
HI = {"content": "Hi"}

# A fixture of aimock, the rules that it becomes, and a part of the note.
FIXTURES: list[tuple[dict[str, Any], list[dict[str, Any]], str]] = [
    ({"match": {}, "response": HI}, [{"reply": "Hi"}], ""),
    (
        {"match": {"userMessage": "a", "toolName": "f", "turnIndex": 0, "endpoint": "chat"}},
        [{"when": {"last_user_message": "a", "tool": "f", "step": 1}, "reply": "Hi"}],
        "",
    ),
    (
        {"match": {"systemMessage": ["a", "b"], "hasToolResult": False}},
        [{"when": {"system": ["a", "b"], "has_tool_result": False}, "reply": "Hi"}],
        "",
    ),
    (
        {"match": {"toolCallId": "call_1", "toolResultContains": "ok"}},
        [{"when": {"has_tool_result": True, "tool_result": "ok"}, "reply": "Hi"}],
        "fixture 1: toolCallId became has_tool_result",
    ),
    ({"match": {"model": LARGE}}, [{"when": {"model_id": LARGE}, "reply": "Hi"}], ""),
    ({"match": {"model": "gpt-4"}}, [{"reply": "Hi"}], "the model 'gpt-4' is left out"),
    ({"match": {"responseFormat": "json"}}, [{"reply": "Hi"}], "responseFormat is left out"),
    (
        {"match": {"inputText": "a"}, "response": {"embedding": [1]}},
        [],
        "a condition like inputText",
    ),
    ({"match": {}, "response": {"image": {"url": "x"}}}, [], "it answers no chat"),
    ({"match": {"endpoint": "image"}}, [], "it answers no chat"),
    ({"response": {"content": {"a": 1}}}, [{"reply": '{"a": 1}'}], ""),
    ({"response": {"toolCalls": [CALL]}}, [{"reply": {"tool_calls": [CALL]}}], ""),
    (
        {"response": {"content": "Hi", "toolCalls": [{**CALL, "arguments": '{"city": "Oslo"}'}]}},
        [{"reply": {"text": "Hi", "tool_calls": [CALL]}}],
        "",
    ),
    (
        {"response": {"blocks": [{"type": "toolCall", **CALL}, {"type": "text", "text": "Hi"}]}},
        [{"reply": {"text": "Hi", "tool_calls": [CALL]}}],
        "the text comes before the tool calls",
    ),
    (
        {"response": {"error": {"message": "Slow down"}, "status": 429}},
        [{"fault": {"exception": "ThrottlingException", "message": "Slow down"}}],
        "",
    ),
    (
        {"response": {"error": {}}},
        [{"fault": {"exception": "InternalServerException"}}],
        "",
    ),
    (
        {"response": HI, "streamingProfile": {"ttft": 200, "tps": 30, "jitter": 0.1}},
        [{"reply": "Hi", "pace": {"tokens_per_second": 30, "jitter": 0.1, "first_token": 0.2}}],
        "",
    ),
    ({"response": HI, "latency": 20}, [{"reply": "Hi", "pace": {"tokens_per_second": 50}}], ""),
    (
        {"response": HI, "truncateAfterChunks": 3},
        [{"reply": "Hi", "fault": {"break": "cut", "after_tokens": 3}}],
        "truncateAfterChunks became as many tokens",
    ),
    ({"response": HI, "disconnectAfterMs": 3}, [{"reply": "Hi"}], "disconnectAfterMs is left out"),
    (
        {"match": {"userMessage": "a"}, "chaos": {"dropRate": 0.3}},
        [
            {"when": {"last_user_message": "a"}, "reply": "Hi"},
            {
                "when": {"last_user_message": "a"},
                "fault": "InternalServerException",
                "probability": 0.3,
            },
        ],
        "",
    ),
    (
        {"response": {**HI, "usage": {"prompt_tokens": 1}}},
        [{"reply": "Hi"}],
        "usage is left out: tokens are counted",
    ),
]


def write(folder: Path, document: object) -> Path:
    file = folder / "fixtures.json"
    file.write_text(json.dumps(document))
    return file


@pytest.mark.parametrize(("fixture", "rules", "note"), FIXTURES)
def test_a_fixture_of_aimock_becomes_rules(
    fixture: dict[str, Any], rules: list[dict[str, Any]], note: str, tmp_path: Path
) -> None:
    converted = convert_file(write(tmp_path, {"fixtures": [{"response": HI, **fixture}]}), MODELS)

    assert converted.rules == rules
    assert note in "\n".join(converted.notes)
    assert bool(note) == bool(converted.notes)


def answers(document: object, folder: Path, *calls: dict[str, Any]) -> list[str | None]:
    """Return the texts with which the converted rules answer these calls."""
    book = RuleBook()
    book.add(parse_rules(convert_file(write(folder, document), MODELS).rules))
    verdicts = [book.pick(asked(**call)) for call in calls]
    return [verdict.text if verdict else None for verdict in verdicts]


def test_the_first_fixture_that_matches_answers_as_in_aimock(tmp_path: Path) -> None:
    document = {
        "fixtures": [
            {"match": {"userMessage": "a", "sequenceIndex": 0}, "response": {"content": "one"}},
            {"match": {"userMessage": "a", "sequenceIndex": 1}, "response": {"content": "two"}},
            {"match": {"userMessage": "a"}, "response": {"content": "more"}},
            {"match": {}, "response": {"content": "other"}},
        ]
    }
    calls = [{"last_user_message": text} for text in ("a", "a", "b", "a")]

    assert answers(document, tmp_path, *calls) == ["one", "two", "other", "more"]


def test_a_sequence_that_does_not_begin_at_zero_is_noted(tmp_path: Path) -> None:
    document = {"fixtures": [{"match": {"sequenceIndex": 1}, "response": HI}]}

    assert convert_file(write(tmp_path, document), MODELS).notes == [
        "fixture 1: sequenceIndex became the order in the file"
    ]


MOCKED = {
    "StateMachines": {"Summaries": {"TestCases": {"Retry": {"Ask": "Asked"}}}},
    "MockedResponses": {
        "Asked": {
            "1-2": {"Return": {"Body": {"outputs": [{"text": " Done.", "stop_reason": "stop"}]}}},
            "0": {"Throw": {"Error": "Bedrock.ThrottlingException", "Cause": "Slow down"}},
        },
        "Stored": {"0": {"Return": {"ETag": "x"}}},
    },
}


def test_mocked_responses_of_bedrock_become_rules(tmp_path: Path) -> None:
    converted = convert_file(write(tmp_path, MOCKED), MODELS)

    assert converted.rules == [
        {"reply": " Done.", "times": 2},
        {"fault": {"exception": "ThrottlingException", "message": "Slow down"}, "times": 1},
    ]
    assert converted.notes == [
        "response Asked: add a `when`: the file does not say which calls it answers",
        "response Stored: not converted: 1 results that are none of Bedrock's",
    ]


@pytest.mark.parametrize(
    ("returned", "reply"),
    [
        ({"Body": '{"outputs": [{"text": "a"}]}'}, "a"),
        ({"Body": {"choices": [{"message": {"content": "a"}}]}}, "a"),
        (
            {
                "Output": {
                    "Message": {
                        "Content": [
                            {"Text": "a"},
                            {"ToolUse": {"Name": "get_weather", "Input": {"city": "Oslo"}}},
                        ]
                    }
                }
            },
            {"text": "a", "tool_calls": [CALL]},
        ),
    ],
)
def test_the_answers_of_each_operation_are_read(
    returned: dict[str, Any], reply: object, tmp_path: Path
) -> None:
    document = {"MockedResponses": {"Asked": {"0": {"Return": returned}}}}

    assert convert_file(write(tmp_path, document), MODELS).rules == [{"reply": reply, "times": 1}]


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"a": 1}, "is neither aimock's"),
        ([], "is neither aimock's"),
        ({"fixtures": [7]}, "malformed fixtures"),
        ({"fixtures": [{"response": {"content": "a", "blocks": [{"text": 1}]}}]}, "malformed"),
        ({"MockedResponses": {"a": {"0": {}}}}, "malformed fixtures: KeyError"),
        ({"fixtures": [{"match": {"turnIndex": -1}, "response": HI}]}, "rule 1, when, step: 0"),
    ],
)
def test_a_file_that_can_not_be_converted_is_a_sentence(
    document: object, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"fixtures\.json: ") as caught:
        convert_file(write(tmp_path, document), MODELS)

    assert sentence in str(caught.value)


def test_the_command_prints_rules_for_the_service(tmp_path: Path) -> None:
    document = {"fixtures": [{"match": {"model": "gpt-4"}, "response": HI}]}
    command = [COMMAND[0], "convert", str(write(tmp_path, document))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    [rule] = parse_rules(json.loads(done.stdout), models=load_registry(DEFAULT_REGISTRY).names())

    assert rule.document == {"reply": "Hi"}
    assert done.stderr == "fixture 1: the model 'gpt-4' is left out, because it is not served\n"
