"""Access control of the emulator's own routes: by web pages, host names and paths."""

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from h2.events import ResponseReceived, StreamEnded

from tests.support import http2
from tests.support.servers import COMMAND, SEVEN_B, call, command_running, invoke, wait_until_ready

RULE = b'{"reply": "of a page"}'
PAGES = [
    {"Origin": "http://evil.example"},
    {"Origin": "http://localhost:3000"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Host": "evil.example"},
    {"Host": "evil.example", "Origin": "http://evil.example"},
]
OWN = [
    "/_emulator/health",
    "/_emulator/ready",
    "/_emulator/rules",
    "/_emulator/requests",
    "/_emulator/openapi.json",
]


def rules_of(url: str) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = json.loads(call(url, "GET", "/_emulator/rules")[1])["rules"]
    return rules


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Yield the URL of a service whose rules no other test sets."""
    flags = ["--engine", "scripted", "--allowed-host", "bedrock.test"]
    with command_running([*COMMAND, *flags]) as started:
        wait_until_ready(started, seconds=30)
        yield started


@pytest.mark.parametrize("page", PAGES, ids=str)
@pytest.mark.parametrize("path", [*OWN, "/metrics", "/_emulator/none"])
def test_a_page_of_another_origin_sees_nothing(url: str, path: str, page: dict[str, str]) -> None:
    response, body = call(url, "GET", path, None, **page)

    assert response.status == 403
    assert list(json.loads(body)) == ["error"]
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_of_another_origin_changes_nothing(url: str, page: dict[str, str]) -> None:
    call(url, "POST", "/_emulator/rules", b'{"reply": "of a test", "scope": "AKIDOTHER"}')
    before = rules_of(url)
    text = {"Content-Type": "text/plain", **page}
    asked = [
        call(url, "POST", "/_emulator/rules", RULE, **text),
        call(url, "POST", "/_emulator/reset", b"", **text),
        call(url, "DELETE", "/_emulator/rules", None, **page),
        call(url, "DELETE", "/_emulator/requests", None, **page),
        call(url, "OPTIONS", "/_emulator/rules", None, **page),
    ]

    assert [response.status for response, _ in asked] == [403] * len(asked)
    assert rules_of(url) == before


def test_an_own_page_and_an_allowed_name_may_use_them(url: str) -> None:
    own = {"Origin": url, "Sec-Fetch-Site": "same-origin"}
    named = {"Host": "bedrock.test:80", "Origin": "http://bedrock.test"}

    assert [call(url, "GET", path, None, **own)[0].status for path in OWN] == [200] * len(OWN)
    assert [call(url, "GET", path, None, **named)[0].status for path in OWN] == [200] * len(OWN)


def test_a_host_that_is_refused_is_told_of_the_flag(url: str) -> None:
    _, body = call(url, "GET", "/_emulator/ready", Host="bedrock")

    assert json.loads(body)["error"].endswith("--allowed-host adds one.")


def test_over_http2_the_authority_is_the_host(url: str) -> None:
    with http2.Client(url) as connection:
        connection.request(
            "/_emulator/rules", RULE, headers=[("origin", "http://evil.example")], stream=1
        )
        events = connection.read(until=StreamEnded)

    [told] = [event for event in events if isinstance(event, ResponseReceived)]
    assert (b":status", b"403") in told.headers


def raw(url: str, head: bytes) -> bytes:
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(head)
        connection.shutdown(socket.SHUT_WR)
        parts = iter(lambda: connection.recv(65_536), b"")
        return b"".join(parts)


def test_http_1_0_needs_no_host_which_no_browser_leaves_out(url: str) -> None:
    answer = raw(url, b"GET /_emulator/health HTTP/1.0\r\n\r\n")

    assert answer.split(b" ")[1] == b"200"


def test_http_1_1_without_a_host_is_malformed(url: str) -> None:
    answer = raw(url, b"GET /_emulator/health HTTP/1.1\r\n\r\n")

    assert answer.split(b" ")[1] == b"400"


@pytest.mark.parametrize(
    "path",
    [
        "/_emulator%2frules",
        "/_emulator%2Frules",
        "/%5femulator/rules",
        "/_emulator/%72ules",
        "/_emulator/rules/",
        "/_emulator//rules",
        "/_emulator/./rules",
        "/_emulator/health/../rules",
        "//_emulator/rules",
        "/./_emulator/rules",
        "/x/../_emulator/rules",
        "/_emulator",
        "/_emulator/",
        "/_emulator/rule",
        "//metrics",
        "/./metrics",
        "/%6detrics",
        "/metrics%2f..%2fmetrics",
    ],
)
def test_another_spelling_of_a_route_is_not_found_and_told_the_routes(url: str, path: str) -> None:
    before = rules_of(url)
    read, body = call(url, "GET", path)
    posted, _ = call(url, "POST", path, RULE)

    assert (read.status, posted.status) == (404, 404)
    assert "/_emulator/health, /_emulator/ready, /metrics" in json.loads(body)["error"]
    assert rules_of(url) == before


def test_a_method_that_a_route_does_not_take_is_told_which_it_takes(url: str) -> None:
    response, body = call(url, "PUT", "/_emulator/rules", RULE)

    assert (response.status, json.loads(body)) == (
        405,
        {"error": "/_emulator/rules takes DELETE, GET, HEAD, POST."},
    )


def test_a_path_of_bedrocks_is_answered_as_ever(url: str) -> None:
    _, body = call(url, "GET", "/_emulators")

    assert b"UnknownOperationException" in body


PROMPT = {"prompt": "Hi", "max_tokens": 2}


@pytest.mark.parametrize(
    "page",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example:8080", "Origin": "http://evil.example:8080"},
    ],
    ids=str,
)
@pytest.mark.parametrize("operation", ["invoke", "converse", "count-tokens"])
def test_a_page_of_elsewhere_calls_no_model(url: str, page: dict[str, str], operation: str) -> None:
    path = f"/model/{SEVEN_B}/{operation}"
    response, body = call(url, "POST", path, json.dumps(PROMPT).encode(), **page)

    assert response.status == 403
    assert (response.headers["x-amzn-errortype"] or "").startswith("AccessDeniedException:")
    assert "without a key" in json.loads(body)["Message"]


@pytest.mark.parametrize(
    "page",
    [
        {},
        {"Host": "bedrock-runtime.us-east-1.amazonaws.com"},  # by /etc/hosts, say
        {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-origin"},  # a server's proxy
        {"Origin": "http://app.localhost:5173", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://bedrock.test"},
    ],
    ids=str,
)
def test_an_app_under_development_calls_models(url: str, page: dict[str, str]) -> None:
    path = f"/model/{SEVEN_B}/invoke"
    response, _ = call(url, "POST", path, json.dumps(PROMPT).encode(), **page)

    assert response.status == 200


def test_anonymous_beyond_loopback_goes_by_addresses_and_allowed_names() -> None:
    flags = ["--host", "0.0.0.0", "--allow-anonymous", "--allowed-host", "bedrock"]
    with command_running([*COMMAND, "--engine", "scripted", *flags]) as started:
        here = started.replace("0.0.0.0", "127.0.0.1")
        wait_until_ready(here, seconds=30)
        hosts = ["192.0.2.7:8080", "bedrock:8080", "evil.example"]
        rules = [call(here, "GET", "/_emulator/rules", Host=host)[0].status for host in hosts]
        calls = invoke(here, PROMPT)[0].status

    assert rules == [200, 200, 403]
    assert calls == 200


def test_behind_keys_a_scraper_and_a_balancer_use_any_name() -> None:
    env = {"INVOKE_API_API_KEY": "ABSKQUFBQUFBQUFBQUFBQUFBQQ=="}
    flags = ["--host", "0.0.0.0", "--auth", "bearer"]
    with command_running([*COMMAND, "--engine", "scripted", *flags], env) as started:
        here = started.replace("0.0.0.0", "127.0.0.1")
        wait_until_ready(here, seconds=30)
        paths = ["/metrics", "/_emulator/health", "/_emulator/ready"]
        named = [call(here, "GET", path, Host="invoke-api.prod:80")[0].status for path in paths]
        page, _ = call(here, "GET", "/metrics", Origin="http://evil.example")

    assert named == [200, 200, 200]
    assert page.status == 403
