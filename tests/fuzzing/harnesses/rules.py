"""Rules: any document is refused with messages, or its rules can be used and listed."""

import json
from contextlib import suppress

from invoke_api.control.request_documents import BadDocument, parse_document
from invoke_api.dialects.question import Question
from invoke_api.rules.conditions import RuleRequest
from invoke_api.rules.parser import RuleError, parse_rules
from invoke_api.rules.rule import Rule
from invoke_api.rules.rule_book import RuleBook
from invoke_api.wire.errors import InvokeError

ASKED = [
    RuleRequest(
        operation=operation,
        model_id="mistral.mistral-7b-instruct-v0:2",
        question=Question(
            "Hello, what is 1 and 1?", "Hello, aab", turn, ("f",), "Be brief.", "It rains."
        ),
        access_key_id="AKIDEXAMPLE",
    )
    for operation, turn in (("Converse", 1), ("InvokeModel", 2))
]


def check(data: bytes) -> None:
    if b"recording" in data:  # it names a file
        return
    try:
        document = parse_document(data)
    except BadDocument as error:
        assert str(error).strip()
        return
    try:
        rules = parse_rules(document)
    except RuleError as error:
        assert str(error).strip()
        return
    book = RuleBook()
    assert len(book.add(rules)) == len(rules)
    json.dumps(book.listed())
    for asked in ASKED:
        trial = book.open_trial(asked)
        verdict = book.pick(asked, trial=trial)
        assert len(trial.to_json()["rules"]) <= len(rules)
        if verdict:
            assert verdict.answers or verdict.fault or verdict.pace
    for rule in rules:
        _check_rule(rule)


def _check_rule(rule: Rule) -> None:
    if rule.fault and rule.fault.error:
        error = rule.fault.error("a-model")
        assert isinstance(error, InvokeError)
        assert json.loads(error.to_json())
        assert error.to_frame()
    if rule.pace:
        waits = rule.pace.waits()
        with suppress(OverflowError):
            assert all(next(waits) >= 0 for _ in range(3))
