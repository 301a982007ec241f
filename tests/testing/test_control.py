"""The routes below `/_emulator`, which tests in other languages use."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.servers import call


@pytest.fixture
def scope(scripted: str) -> Iterator[str]:
    yield "AKIDADDRESS"
    call(scripted, "POST", "/_emulator/reset?scope=AKIDADDRESS")


def add(url: str, scope: str, rules: object) -> list[dict[str, Any]]:
    response, body = call(
        url, "POST", f"/_emulator/rules?scope={scope}", json.dumps(rules).encode()
    )
    assert response.status == 201, body
    added: list[dict[str, Any]] = json.loads(body)["rules"]
    return added


@pytest.mark.parametrize("rules", [{"reply": " Yours."}, [{"reply": " Yours."}]])
def test_a_rule_is_for_the_caller_whom_the_address_names(
    scripted: str, scope: str, rules: object
) -> None:
    add(scripted, scope, rules)
    _, body = call(scripted, "GET", f"/_emulator/rules?scope={scope}")
    [listed] = json.loads(body)["rules"]

    assert (listed["reply"], listed["scope"]) == (" Yours.", scope)


def test_a_rule_that_names_a_caller_stays_that_callers(scripted: str, scope: str) -> None:
    [added] = add(scripted, "AKIDANOTHER", {"reply": " Mine.", "scope": scope})

    assert added["scope"] == scope
