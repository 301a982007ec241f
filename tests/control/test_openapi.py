"""`/_emulator/openapi.json`: it is valid, has every route, and is true of the answers."""

import json
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPResponse, IncompleteRead
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from invoke_api import __version__
from invoke_api.server.app import CONTROL_ROUTES, PAGE_ROUTES, PUBLIC_ROUTES
from tests.rules.test_rules import rule
from tests.support.servers import COMMAND, SEVEN_B, call, command_running, invoke, wait_until_ready

PATH = "/_emulator/openapi.json"
JSON = {"Content-Type": "application/json"}
Check = Callable[[str, str, HTTPResponse, bytes], None]
ALIAS = json.dumps({"alias": "AKIA1", "access_key_id": "AKIA2"}).encode()
RULE = json.dumps({"reply": "Hi", "times": 2, "when": {"prompt": "Hi"}}).encode()
# A request for each operation: its query and body. `{}` in a path is the id of a call.
ASKED: Mapping[tuple[str, str], tuple[str, bytes | None]] = {
    ("GET", "/_emulator/ready"): (f"?model={SEVEN_B}", None),
    ("GET", "/_emulator/requests"): ("?operation=InvokeModel&ended=stop", None),
    ("GET", "/_emulator/calls"): ("?after=0&open=1", None),
    ("POST", "/_emulator/rules"): ("?scope=AKIA1", RULE),
    ("DELETE", "/_emulator/rules"): ("?scope=AKIA1", None),
    ("POST", "/_emulator/aliases"): ("", ALIAS),
}
# Operations that are refused, because they lack a body, or what they ask for is not there.
REFUSED = [
    ("POST", "/_emulator/rules", 400),
    ("POST", "/_emulator/aliases", 400),
    ("GET", "/_emulator/ready?model=x", 404),
    ("GET", "/_emulator/requests?x=1", 400),
    ("GET", "/_emulator/calls?after=x", 400),
    ("GET", "/_emulator/calls/{request_id}", 404),
    ("GET", "/_emulator/explain/{request_id}", 404),
    ("GET", "/_emulator/recordings/{request_id}", 404),
    ("GET", "/_emulator/page/{file}", 404),
]


def document_of(url: str) -> dict[str, Any]:
    response, raw = call(url, "GET", PATH)
    assert (response.status, response.getheader("content-type")) == (200, "application/json")
    document: dict[str, Any] = json.loads(raw)
    return document


def operations(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(each.upper(), path) for path, item in document["paths"].items() for each in item]


def test_it_is_a_valid_document(url: str) -> None:
    document = document_of(url)
    ids = [each["operationId"] for item in document["paths"].values() for each in item.values()]

    OpenAPIV31SpecValidator(document).validate()
    assert document["info"]["version"] == __version__
    assert len(ids) == len(set(ids))


def test_it_has_every_route_with_its_methods(url: str) -> None:
    routes = [*PUBLIC_ROUTES, *PAGE_ROUTES, *CONTROL_ROUTES]
    expected = {
        (method, route.path)
        for route in routes
        for method in route.methods
        if method != "HEAD" and route.path != "/_emulator"  # the same as with a slash
    }

    assert {*operations(document_of(url))} == {*expected, ("GET", PATH)}


def test_the_list_of_routes_in_a_404_has_the_documents_paths(url: str) -> None:
    response, raw = call(url, "GET", "/_emulator/none")
    listed = json.loads(raw)["error"].removesuffix(".").partition("there are ")[2].split(", ")

    assert response.status == 404
    assert PATH in listed
    # `/_emulator` is the page, as `/_emulator/` is.
    assert {*listed} - {"/_emulator"} == {*document_of(url)["paths"]}


@pytest.mark.parametrize("flags", [["--no-control"], ["--workers", "2"]], ids=" ".join)
def test_it_has_only_the_routes_that_the_service_has(flags: list[str]) -> None:
    with command_running([*COMMAND, "--engine", "scripted", *flags], seconds=60) as served:
        wait_until_ready(served, seconds=60)
        paths = document_of(served)["paths"]

    assert {path for path in paths if "/page" not in path} - {"/_emulator/"} == {
        *(route.path for route in PUBLIC_ROUTES),
        PATH,
    }


@pytest.fixture
def check(url: str) -> Check:
    """Return a function that fails unless an answer is as the document says."""
    document = document_of(url)

    def check(method: str, path: str, response: HTTPResponse, raw: bytes) -> None:
        operation = document["paths"][path][method.lower()]
        told = operation["responses"].get(str(response.status)) or operation["responses"]["default"]
        media = (response.getheader("content-type") or "").partition(";")[0]
        content = told["content"].get(media) or told["content"]["*/*"]
        if media == "application/json":
            schema = {**content["schema"], "components": document["components"]}
            Draft202012Validator(schema).validate(json.loads(raw))

    return check


@pytest.fixture
def request_id(url: str) -> Iterator[str]:
    """Yield the id of a call that a rule answered, while another rule did not match."""
    rule(url, reply="Hi")
    rule(url, reply="Warm", when={"prompt": "weather"})
    response, _ = invoke(url, {"prompt": "Hi"})
    name = response.getheader("x-amzn-requestid")
    assert name
    yield name
    call(url, "POST", "/_emulator/reset")


def test_the_answers_of_every_operation_are_as_it_says(
    url: str, request_id: str, check: Check
) -> None:
    # Requests that only read come first, because the journal must still have the call.
    for method, path in sorted(operations(document_of(url)), key=lambda each: each[0] != "GET"):
        query, body = ASKED.get((method, path), ("", None))
        place = path.format(request_id=request_id, file="main.js")
        accept = "text/html" if path == "/_emulator/" else "*/*"
        response, raw = call(url, method, f"{place}{query}", body, Accept=accept)

        assert response.status < 400, (method, path, raw)
        check(method, path, response, raw)


STREAM = f"/model/{SEVEN_B}/invoke-with-response-stream"


def test_calls_of_each_kind_are_as_it_says(url: str, check: Check) -> None:
    rule(url, fault={"break": "cut", "after_tokens": 1}, reply="one two", times=1)
    rule(url, fault="ThrottlingException", times=1)
    invoke(url, {"prompt": "Hi"})
    with pytest.raises(IncompleteRead):
        call(url, "POST", STREAM, b'{"prompt": "Hi"}', **JSON)
    call(url, "POST", STREAM, b'{"prompt": "Hi"}', **JSON)
    rule(url, reply="Hi")
    invoke(url, {"prompt": "Hi"})
    call(url, "POST", STREAM, b'{"prompt": "Hi"}', **{"Content-Type": "text/plain"})
    response, raw = call(url, "GET", "/_emulator/requests")
    calls = json.loads(raw)["requests"]

    check("GET", "/_emulator/requests", response, raw)
    assert {each["ended"] for each in calls} >= {"error", "stop"}
    assert {each["engine"] for each in calls} >= {"rule", "scripted", None}
    for each in calls:
        for path in ("/_emulator/calls/{request_id}", "/_emulator/explain/{request_id}"):
            check("GET", path, *call(url, "GET", path.format(**each)))
    check("GET", "/_emulator/engines", *call(url, "GET", "/_emulator/engines"))


@pytest.mark.parametrize(("method", "asked", "status"), REFUSED)
def test_refusals_are_as_it_says(
    url: str, check: Check, method: str, asked: str, status: int
) -> None:
    response, raw = call(url, method, asked.format(request_id="x", file="x"))
    path = asked.partition("?")[0]

    assert response.status == status
    check(method, path, response, raw)
    assert document_of(url)["paths"][path][method.lower()]["responses"][str(status)]
