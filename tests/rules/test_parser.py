"""The short and long forms of rules, and the error message for each mistake."""

from pathlib import Path
from typing import Any

import pytest

from engine.tokenization.tool_calls import ToolCall
from invoke_api.rules.parser import (
    EXCEPTIONS,
    SAGEMAKER_NAMES,
    STATES,
    RuleError,
    load_rules,
    parse_rules,
)
from invoke_api.rules.rule import BREAKS, ReplyTurn, RuleReply
from invoke_api.server.app import ALL_ROUTES
from invoke_api.wire.errors import InvokeError, ThrottlingException
from invoke_api.yaml_files import ConfigError, load_schema
from tests.fidelity import exceptions

MODELS = ["mistral.mistral-7b-instruct-v0:2", "us.mistral.pixtral-large-2502-v1:0", "endpoint-1"]
MISTAKES: list[tuple[Any, str]] = [
    ({}, "rule 1: {} should be non-empty"),
    (7, "the rules: 7 must be an object"),
    ({"wen": {}}, "rule 1: there is no key 'wen'; did you mean when?"),
    (
        {"color": 1, "reply": "a"},
        "rule 1: there is no key 'color'; known: when, reply, fault, state",
    ),
    ({"when": {}}, "rule 1: it has no effect; add a reply, fault, state or pace"),
    ({"reply": 7}, "rule 1, reply: 7 must be a text, a list or an object"),
    ({"reply": []}, "rule 1, reply: [] should be non-empty"),
    ({"reply": ["a", 7]}, "rule 1, reply 2: 7 must be a text or an object"),
    ({"reply": {"text": "a", "echo": True}}, "rule 1: a reply has only one of text, texts, echo"),
    ({"reply": ["a", {"text": "a", "echo": True}]}, "rule 1: reply 2 has only one of text, texts"),
    (
        {"reply": {"tool_calls": [{"name": "a"}, {"name": "a b"}]}},
        "rule 1, reply, tool call 2, name: 'a b' does not match",
    ),
    (
        {"reply": ["a", {"tool_calls": [{"nam": "a"}]}]},
        "rule 1, reply 2, tool call 1: there is no key 'nam'; did you mean name?",
    ),
    ({"reply": {"tool_calls": [{}]}}, "rule 1, reply, tool call 1: the key 'name' is missing"),
    ({"fault": "Nonsense"}, "rule 1: fault: there is no exception 'Nonsense'; known: Access"),
    ({"fault": "throttlingException"}, "'throttlingException'; did you mean ThrottlingException?"),
    ({"fault": "tornframe"}, "there is no exception 'tornframe'; did you mean torn_frame?"),
    ({"fault": {"break": "cut", "retry_after": 1}}, "rule 1: a break can't have retry_after"),
    ({"fault": {"break": "cut", "message": "x", "members": {}}}, "can't have members or message"),
    ({"fault": {}}, "rule 1: a fault has either an exception or a break"),
    ({"fault": {"exception": "ThrottlingException", "break": "cut"}}, "either an exception or"),
    (
        {"fault": {"break": "kut"}},
        "rule 1, fault, break: there is no value 'kut'; did you mean cut?",
    ),
    (
        {"state": "tired"},
        "rule 1, state: there is no value 'tired'; known: not-ready, access-denied",
    ),
    ({"state": "not-ready", "reply": "a"}, "rule 1: reply and state exclude each other"),
    ({"reply": "a", "times": 0}, "rule 1, times: 0 is less than the minimum of 1"),
    ({"reply": "a", "probability": 2}, "rule 1, probability: 2 is greater than the maximum"),
    (
        {"reply": "a", "when": {"prompt": {"regex": "("}}},
        "prompt is not a valid regular expression: ",
    ),
    (
        {"reply": "a", "when": {"system": ["x", {"regex": "("}]}},
        "system is not a valid regular expression: ",
    ),
    (
        {"reply": "a", "when": {"promt": "x"}},
        "rule 1, when: there is no key 'promt'; did you mean pr",
    ),
    (
        {"reply": "a", "when": {"prompt": {"regexp": "x"}}},
        "rule 1, when, prompt: there is no key 'regexp'; did you mean regex?",
    ),
    ({"reply": "a", "when": {"operation": "converse"}}, "'converse'; did you mean Converse?"),
    (
        {"reply": "a", "when": {"operation": 7}},
        "rule 1, when, operation: there is no value 7; known",
    ),
    ({"reply": "a", "when": {"metadata": {"a": 1}}}, "rule 1, when, metadata, a: 1 must be a text"),
    ([{"reply": "a"}, {"pace": {"first_token": -1}}], "rule 2, pace, first_token: -1 is less"),
    (
        {"reply": "a", "when": {"model_id": "mistral.mistral-7b-instruct-v0.2"}},
        "v0.2'; did you mean mistral.mistral-7b-instruct-v0:2?",
    ),
    ({"reply": "a", "when": {"model_id": "gpt-*"}}, "no model 'gpt-*'; known: endpoint-1, mistral"),
]


def test_the_operations_of_the_schema_are_those_of_the_application_that_call_models() -> None:
    names = {
        route.name
        for route in ALL_ROUTES
        if "operation" in getattr(_innermost(route.handler), "keywords", {})
    }
    known = load_schema("rules.json")["$defs"]["when"]["properties"]["operation"]["enum"]

    assert set(known) == names


def _innermost(handler: Any) -> Any:
    """Return the handler of an operation without the checks of its host."""
    return getattr(handler, "keywords", {}).get("handler", handler)


@pytest.mark.parametrize(
    "when",
    [
        {"model_id": "*pixtral*"},
        {"model_id": "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a"},
        {"model_id": "endpoint-1"},
        {"model_id": "endpoint-2", "operation": "InvokeEndpoint"},  # may be created later
    ],
)
def test_a_model_that_calls_can_name_is_accepted(when: dict[str, str]) -> None:
    [rule] = parse_rules({"reply": "a", "when": when}, models=MODELS)

    assert rule.document["when"] == when


@pytest.mark.parametrize(("document", "sentence"), MISTAKES)
def test_a_mistake_is_a_sentence(document: Any, sentence: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse_rules(document, models=MODELS)

    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("reply", "parsed"),
    [
        ("a", [ReplyTurn("a")]),
        (["a", "b"], [ReplyTurn("a"), ReplyTurn("b")]),
        ({"text": "a"}, [ReplyTurn("a")]),
        ({"texts": ["a", "b"]}, [ReplyTurn("a"), ReplyTurn("b")]),
        ({"echo": True}, [ReplyTurn(None)]),
        (
            {"tool_calls": [{"name": "f"}, {"name": "g", "arguments": {"a": 1}}]},
            [ReplyTurn("", (ToolCall("f", {}), ToolCall("g", {"a": 1})))],
        ),
        (
            {"texts": ["a", "b"], "tool_calls": [{"name": "f"}]},
            [ReplyTurn("a", (ToolCall("f", {}),)), ReplyTurn("b", (ToolCall("f", {}),))],
        ),
        (
            ["a", {"text": "b", "tool_calls": [{"name": "f"}]}, {"echo": True}],
            [ReplyTurn("a"), ReplyTurn("b", (ToolCall("f", {}),)), ReplyTurn(None)],
        ),
    ],
)
def test_a_reply_may_be_said_in_several_ways(reply: Any, parsed: list[ReplyTurn]) -> None:
    [rule] = parse_rules({"reply": reply})

    assert rule.reply == RuleReply(tuple(parsed))


def test_one_rule_a_list_and_a_document_are_the_same() -> None:
    rule = {"reply": "a"}

    assert parse_rules(rule) == parse_rules([rule]) == parse_rules({"rules": [rule]})


def test_every_modelled_exception_may_be_thrown() -> None:
    assert set(EXCEPTIONS) == {row.name for row in exceptions.TABLE} | set(SAGEMAKER_NAMES)


def test_a_fault_carries_all_it_is_told() -> None:
    [rule] = parse_rules(
        {"fault": {"exception": "ThrottlingException", "message": "No.", "retry_after": 1500}}
    )
    assert rule.fault
    assert rule.fault.error
    error = rule.fault.error("any")

    assert isinstance(error, ThrottlingException)
    assert (error.message, error.headers) == ("No.", {"x-amz-retry-after": "1500"})


@pytest.mark.parametrize("state", STATES)
def test_a_state_is_the_fault_that_it_gives(state: str) -> None:
    [rule] = parse_rules({"state": state})
    assert rule.fault
    assert rule.fault.error

    error = rule.fault.error("mistral.x")
    assert isinstance(error, InvokeError)
    assert ("mistral.x" in error.message) == (state == "on-demand-not-supported")


def test_a_mistake_in_a_file_has_its_line(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("rules:\n  - reply: a\n  - fault: Nope\n")
    with pytest.raises(RuleError) as caught:
        load_rules(file)

    assert str(caught.value).startswith(f"{file}:3: rule 2: fault: there is no exception 'Nope'")
    with pytest.raises(ConfigError, match=r"none\.yaml: No such file"):
        load_rules(tmp_path / "none.yaml")
    file.write_text("rules:\n  - reply: a\n    times: many\n")
    with pytest.raises(RuleError, match=r"rules\.yaml:3: rule 1, times: 'many' must be a whole"):
        load_rules(file)


@pytest.mark.parametrize("fault", BREAKS)
def test_a_break_goes_by_its_name_alone(fault: str) -> None:
    [rule] = parse_rules({"fault": fault})

    assert rule.fault
    assert rule.fault.breakage == fault
