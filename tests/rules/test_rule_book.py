"""The choice of rules: order, counts, scopes."""

from typing import Any

import pytest

from invoke_api.dialects.question import Question
from invoke_api.rules.conditions import RuleRequest
from invoke_api.rules.parser import parse_rules
from invoke_api.rules.rule_book import RuleBook

INST = "<s>[INST] Who are you? [/INST] I am.</s>[INST] And the weather? [/INST]"

QUESTION: dict[str, Any] = {
    "prompt": INST,
    "last_user_message": "And the weather?",
    "turn": 2,
    "step": 3,
    "tools": ("get_weather",),
    "system": "You are brief. You are kind.",
    "tool_result": "12 degrees",
    "metadata": {"team": "blue-1", "job": "x"},
}


def asked(**more: Any) -> RuleRequest:
    given = {
        "operation": "InvokeModel",
        "model_id": "mistral.mistral-7b-instruct-v0:2",
        "access_key_id": "AKIDEXAMPLE",
        **{key: more.pop(key) for key in [*more] if key in RuleRequest.__annotations__},
    }
    question = Question(**{**QUESTION, **more})
    return RuleRequest(question=question, **given)


def book(*rules: dict[str, Any]) -> RuleBook:
    made = RuleBook()
    made.add(parse_rules(list(rules)))
    return made


def said(rules: RuleBook, **more: Any) -> str | None:
    verdict = rules.pick(asked(**more))
    return verdict.text if verdict else None


@pytest.mark.parametrize(
    "when",
    [
        {},
        {"operation": "InvokeModel"},
        {"model_id": "mistral.mistral-7b-instruct-v0:2"},
        {"model_id": "mistral.mistral-*"},
        {"prompt": "Who are you?"},
        {"prompt": {"regex": r"are \w+\?.*weather"}},
        {"last_user_message": "weather"},
        {"last_user_message": {"regex": "^And"}},
        {"turn": 2},
        {"step": 3},
        {"tool": "get_*"},
        {"has_tool_result": True},
        {"tool_result": "12"},
        {"system": "brief"},
        {"system": ["kind", {"regex": "^You"}]},
        {"metadata": {"team": "blue-*"}},
        {"operation": "InvokeModel", "model_id": "*", "prompt": "weather", "turn": 2},
    ],
)
def test_a_rule_speaks_when_all_its_conditions_hold(when: dict[str, Any]) -> None:
    assert said(book({"when": when, "reply": "yes"})) == "yes"


@pytest.mark.parametrize(
    "when",
    [
        {"operation": "InvokeModelWithResponseStream"},
        {"model_id": "mistral.mixtral-*"},
        {"prompt": "who are you?"},
        {"prompt": {"regex": "^weather"}},
        {"last_user_message": "Who"},
        {"turn": 1},
        {"step": 2},
        {"tool": "set_*"},
        {"has_tool_result": False},
        {"tool_result": "13"},
        {"system": ["kind", "long"]},
        {"metadata": {"team": "red"}},
        {"metadata": {"team": "blue-1", "user": "*"}},
        {"prompt": "weather", "turn": 1},
    ],
)
def test_a_rule_is_silent_when_one_does_not(when: dict[str, Any]) -> None:
    assert said(book({"when": when, "reply": "yes"})) is None


def test_texts_are_taken_in_turn_and_the_last_one_stays() -> None:
    rules = book({"reply": ["one", "two"]})

    assert [said(rules) for _ in range(4)] == ["one", "two", "two", "two"]


def test_a_later_rule_comes_before_an_earlier_one() -> None:
    rules = book({"reply": "first"}, {"reply": "second", "times": 2})

    assert [said(rules) for _ in range(3)] == ["second", "second", "first"]


def test_the_prompt_may_be_echoed() -> None:
    assert said(book({"reply": {"echo": True}})) == INST


def test_rules_of_one_caller_are_not_for_another_and_come_first() -> None:
    rules = book({"reply": "own", "scope": "AKIDEXAMPLE"}, {"reply": "everybody's"})

    assert said(rules) == "own"
    assert said(rules, access_key_id="AKIDOTHER") == "everybody's"
    assert said(rules, access_key_id=None) == "everybody's"


def test_chance_is_repeatable() -> None:
    rule = {"reply": "yes", "probability": 0.5, "seed": 7}
    first, second = ([said(rules) for _ in range(200)] for rules in (book(rule), book(rule)))

    assert first == second
    assert 60 < first.count("yes") < 140


def test_a_rule_may_be_over_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("invoke_api.rules.rule_book.monotonic", lambda: now)
    rules = book({"reply": "yes", "seconds": 5})
    before = said(rules)
    now = 105.0

    assert (before, said(rules)) == ("yes", None)


def test_rules_are_listed_with_their_counts_and_removed() -> None:
    rules = book({"reply": "a", "scope": "A"}, {"reply": "b", "scope": "B"}, {"reply": "c"})
    said(rules, access_key_id="B")

    assert [(rule["id"], rule["reply"], rule["spoken"]) for rule in rules.listed()] == [
        ("1", "a", 0),
        ("2", "b", 1),
        ("3", "c", 0),
    ]
    assert [rule["id"] for rule in rules.listed("B")] == ["2"]
    assert rules.remove(scope="B") == 1
    assert rules.remove(rule_id="3") == 1
    assert [rule["id"] for rule in rules.listed()] == ["1"]
    assert rules.remove() == 1
    assert not rules.has_rules


def test_a_rule_leaves_what_it_does_not_say_to_the_next() -> None:
    late = {"exception": "ThrottlingException", "after_tokens": 3}
    rules = book({"reply": "text"}, {"pace": {"first_token": 1}}, {"fault": late, "times": 1})
    both = rules.pick(asked())
    then = rules.pick(asked())

    assert both
    assert both.text == "text"
    assert both.fault
    assert both.pace
    assert both.rule_id == "3"
    assert then
    assert (then.text, then.fault) == ("text", None)


def test_what_a_rule_says_is_not_said_again_by_the_next() -> None:
    rules = book(
        {"reply": ["below", "never"], "pace": {"first_token": 2}},
        {"pace": {"first_token": 1}},
        {"fault": "ThrottlingException", "times": 1},
    )
    failed, slow = rules.pick(asked()), rules.pick(asked())

    assert failed
    assert failed.text is None  # a fault before the first token needs none, and uses no text up
    assert failed.pace is None
    assert slow
    assert slow.text == "below"
    assert slow.pace
    assert slow.pace.first_token == 1
