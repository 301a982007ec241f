"""The explanation of a choice of rules: the outcome of each rule, and the nearest."""

from typing import Any

import pytest

from invoke_api.rules.explanation import MAX_KEPT_CHARACTERS
from invoke_api.rules.rule_book import RuleBook
from tests.rules.test_rule_book import asked, book

REASONS: list[tuple[dict[str, Any], str]] = [
    ({"operation": "Converse"}, "operation is 'InvokeModel', not 'Converse'"),
    ({"turn": 1}, "turn is 2, not 1"),
    ({"step": 1}, "step is 3, not 1"),
    ({"has_tool_result": False}, "has_tool_result is true, not false"),
    (
        {"model_id": "mistral.mix*"},
        "model_id is 'mistral.mistral-7b-instruct-v0:2', not 'mistral.mix*'",
    ),
    ({"tool": "f"}, "no tool 'f' is offered; offered: 'get_weather'"),
    ({"metadata": {"team": "red"}}, "metadata 'team' is 'blue-1', not 'red'"),
    ({"metadata": {"user": "*"}}, "metadata has no 'user'"),
    ({"prompt": "rain"}, "prompt lacks 'rain'"),
    ({"prompt": "WEATHER"}, "prompt lacks 'WEATHER' but has 'weather'"),
    ({"last_user_message": {"regex": "^Who"}}, "last_user_message does not match '^Who'"),
    ({"tool_result": "13"}, "tool_result lacks '13'"),
    ({"system": "x" * 1_000}, f"system lacks '{'x' * 99}…{'x' * 99}'"),
]


def explained(rules: RuleBook, **more: Any) -> dict[str, Any]:
    """Return the explanation of one choice."""
    request = asked(**more)
    trial = rules.open_trial(request)
    rules.pick(request, trial=trial)
    return trial.to_json()


@pytest.mark.parametrize(("when", "reason"), REASONS)
def test_the_condition_that_does_not_hold_is_named(when: dict[str, Any], reason: str) -> None:
    found = explained(book({"when": {"operation": "InvokeModel", **when}, "reply": "yes"}))

    assert found["rules"] == [{"id": "1", "outcome": "did not match", "because": [reason]}]
    assert found["applied"] == []


def test_a_tool_result_that_is_not_there_is_said() -> None:
    found = explained(book({"when": {"tool_result": "12"}, "reply": "yes"}), tool_result=None)

    assert found["rules"][0]["because"] == ["there is no tool_result, which should have '12'"]


def test_each_rule_has_its_outcome() -> None:
    rules = book(
        {"reply": "older"},
        {"reply": "answers"},
        {"pace": {"first_token": 1}},
        {"pace": {"first_token": 2}},
        {"reply": "never", "probability": 0},
        {"reply": "of another", "scope": "AKIDOTHER"},
        {"fault": "hang", "times": 1},
    )
    explained(rules)
    found = explained(rules)

    assert {each["id"]: (each["outcome"], each["because"]) for each in found["rules"]} == {
        "7": ("skipped", ["it has applied once"]),
        "5": ("skipped", ["its probability of 0 left this call out"]),
        "4": ("applied", []),
        "3": ("skipped", ["rule 4 has the same effects already"]),
        "2": ("applied", []),
        "1": ("not tried", []),
    }
    assert found["applied"] == ["4", "2"]
    assert found["rules_of_other_scopes"] == 1
    assert found["nearest"] is None


def test_the_nearest_is_the_rule_with_the_fewest_differences() -> None:
    rules = book(
        {"when": {"operation": "Converse", "turn": 1}, "reply": "a"},
        {"when": {"operation": "Converse", "turn": 2}, "reply": "b"},
        {"when": {"operation": "Converse", "turn": 3}, "reply": "c"},
    )

    assert explained(rules)["nearest"] == {
        "id": "2",
        "diff": ["- operation: 'Converse'", "+ operation: 'InvokeModel'"],
    }


def test_a_trial_keeps_the_rules_of_its_time_and_the_beginning_of_long_texts() -> None:
    rules = book({"when": {"prompt": "needle"}, "reply": "a"})
    request = asked(prompt="x" * MAX_KEPT_CHARACTERS + "needle")
    trial = rules.open_trial(request)
    verdict = rules.pick(request, trial=trial)
    rules.remove()
    found = trial.to_json()

    assert verdict
    assert found["rules"] == [{"id": "1", "outcome": "applied", "because": []}]
    assert found["shortened"]
