"""The routes below `/_emulator`, which tests in other languages use."""

import json
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any

import pytest

from invoke_api.authentication.aliases import MAX_ALIASES, Aliases, TooManyAliases
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


def test_calls_of_an_alias_count_as_those_of_its_key(scripted: str, scope: str) -> None:
    add(scripted, scope, {"reply": " Yours."})
    added, _ = add_alias(scripted, {"alias": "AKIDALIAS", "access_key_id": scope})
    _, listed = call(scripted, "GET", "/_emulator/aliases")
    signed = "AWS4-HMAC-SHA256 Credential=AKIDALIAS/20260101/us-east-1/bedrock/aws4_request,"
    signed += " SignedHeaders=host, Signature=0"
    path = "/model/mistral.mistral-7b-instruct-v0%3A2/invoke"
    _, answer = call(scripted, "POST", path, b'{"prompt": "Hi"}', Authorization=signed)
    _, seen = call(scripted, "GET", f"/_emulator/requests?scope={scope}")
    call(scripted, "POST", f"/_emulator/reset?scope={scope}")
    _, left = call(scripted, "GET", "/_emulator/aliases")

    assert added.status == 201
    assert {"alias": "AKIDALIAS", "access_key_id": scope} in json.loads(listed)["aliases"]
    assert json.loads(answer)["outputs"][0]["text"] == " Yours."
    assert [each["access_key_id"] for each in json.loads(seen)["requests"]] == [scope]
    assert "AKIDALIAS" not in left.decode()


def add_alias(url: str, document: object) -> tuple[HTTPResponse, bytes]:
    return call(url, "POST", "/_emulator/aliases", json.dumps(document).encode())


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"alias": "AKIDALIAS"},
        {"alias": "AKIDALIAS", "access_key_id": 1},
        {"alias": "", "access_key_id": "AKID"},
        {"alias": "x" * 129, "access_key_id": "AKID"},
        {"alias": "AKIDALIAS", "access_key_id": "AKID", "more": 1},
    ],
)
def test_an_alias_has_two_keys(scripted: str, document: object) -> None:
    response, body = add_alias(scripted, document)

    assert response.status == 400
    assert b"an alias is an object with `alias` and `access_key_id`" in body


def test_there_are_at_most_so_many_aliases() -> None:
    aliases = Aliases()
    for number in range(MAX_ALIASES):
        aliases.set(f"AKID{number}", "AKIDTEST")
    aliases.set("AKID0", "AKIDOTHER")  # one that is there may change
    with pytest.raises(TooManyAliases, match="at most 1,000"):
        aliases.set("AKIDMORE", "AKIDTEST")
    aliases.remove("AKIDTEST")

    assert dict(aliases) == {"AKID0": "AKIDOTHER"}
