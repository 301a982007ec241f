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
from invoke_api.rules.rule import BREAKS, RuleReply
from invoke_api.wire.errors import InvokeError, ThrottlingException
from invoke_api.yaml_files import ConfigError
from tests.fidelity import exceptions

MISTAKES: list[tuple[Any, str]] = [
    ({}, "rule 1: {} should be non-empty"),
    (7, "the rules: 7 is not of type 'object'"),
    ({"wen": {}}, "rule 1: Additional properties are not allowed ('wen' was unexpected)"),
    ({"when": {}}, "rule 1: it has no effect; add a reply, fault, state or pace"),
    ({"reply": 7}, "reply of rule 1: 7 is not of type 'string', 'array', 'object'"),
    ({"reply": []}, "reply of rule 1: [] should be non-empty"),
    ({"reply": {"text": "a", "echo": True}}, "rule 1: a reply has only one of text, texts, echo"),
    (
        {"reply": {"tool_calls": [{"name": "a b"}]}},
        "name of rule 1 of tool_calls of reply of rule 1: ",
    ),
    ({"fault": "Nonsense"}, "rule 1: there is no exception 'Nonsense'; Bedrock's are Access"),
    ({"fault": "throttlingException"}, "'throttlingException'; did you mean ThrottlingException?"),
    ({"fault": "tornframe"}, "there is no exception 'tornframe'; did you mean torn_frame?"),
    ({"fault": {"break": "cut", "retry_after": 1}}, "rule 1: a break can't have retry_after"),
    ({"fault": {"break": "cut", "message": "x", "members": {}}}, "can't have members or message"),
    ({"fault": {}}, "rule 1: a fault has either an exception or a break"),
    ({"fault": {"exception": "ThrottlingException", "break": "cut"}}, "either an exception or"),
    ({"fault": {"break": "explode"}}, "break of fault of rule 1: 'explode' is not one of ['cut'"),
    ({"state": "tired"}, "state of rule 1: 'tired' is not one of ['not-ready'"),
    ({"state": "not-ready", "reply": "a"}, "rule 1: reply and state exclude each other"),
    ({"reply": "a", "times": 0}, "times of rule 1: 0 is less than the minimum of 1"),
    ({"reply": "a", "probability": 2}, "probability of rule 1: 2 is greater than the maximum"),
    (
        {"reply": "a", "when": {"prompt": {"regex": "("}}},
        "prompt is not a valid regular expression: ",
    ),
    ({"reply": "a", "when": {"operation": "Invoke"}}, "operation of when of rule 1: 'Invoke' is"),
    ([{"reply": "a"}, {"pace": {"first_token": -1}}], "first_token of pace of rule 2: -1 is less"),
]


@pytest.mark.parametrize(("document", "sentence"), MISTAKES)
def test_a_mistake_is_a_sentence(document: Any, sentence: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse_rules(document)

    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("reply", "parsed"),
    [
        ("a", RuleReply(texts=("a",))),
        (["a", "b"], RuleReply(texts=("a", "b"))),
        ({"text": "a"}, RuleReply(texts=("a",))),
        ({"texts": ["a", "b"]}, RuleReply(texts=("a", "b"))),
        ({"echo": True}, RuleReply(echo=True)),
        (
            {"tool_calls": [{"name": "f"}, {"name": "g", "arguments": {"a": 1}}]},
            RuleReply(texts=("",), calls=(ToolCall("f", {}), ToolCall("g", {"a": 1}))),
        ),
        (
            {"texts": ["a", "b"], "tool_calls": [{"name": "f"}]},
            RuleReply(texts=("a", "b"), calls=(ToolCall("f", {}),)),
        ),
    ],
)
def test_a_reply_may_be_said_in_several_ways(reply: Any, parsed: RuleReply) -> None:
    [rule] = parse_rules({"reply": reply})

    assert rule.reply == parsed


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

    assert str(caught.value).startswith(f"{file}:3: there is no exception 'Nope'")
    with pytest.raises(ConfigError, match=r"none\.yaml: No such file"):
        load_rules(tmp_path / "none.yaml")
    file.write_text("rules:\n  - reply: a\n    times: many\n")
    with pytest.raises(RuleError, match=r"rules\.yaml:3: rules\.0\.times: 'many' is not of type"):
        load_rules(file)


@pytest.mark.parametrize("fault", BREAKS)
def test_a_break_goes_by_its_name_alone(fault: str) -> None:
    [rule] = parse_rules({"fault": fault})

    assert rule.fault
    assert rule.fault.breakage == fault
