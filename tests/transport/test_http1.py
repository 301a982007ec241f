"""An HTTP/1.1 connection: pipelined requests, deadlines, and its end."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from invoke_api.pipeline.request_body import InFlightCalls
from invoke_api.transport import http1
from invoke_api.transport.limits import MAX_HEAD_BYTES, MAX_PIPELINED_REQUESTS, Limits
from tests.pipeline.test_leaving import running
from tests.support.servers import SEVEN_B, app_running, call, engine_running
from tests.support.stubs import StubEngine
from tests.support.waiting import until

BODY = b'{"prompt": "Hi"}'
INVOKE = ("POST", f"/model/{SEVEN_B}/invoke")
STREAM = ("POST", f"/model/{SEVEN_B}/invoke-with-response-stream")
CLOSE = "Connection: close"


def ask(method: str, path: str, *fields: str, version: str = "1.1", body: bytes = BODY) -> bytes:
    length = f"Content-Length: {len(body)}"
    lines = [f"{method} {path} HTTP/{version}", "Host: localhost", length, *fields]
    return "\r\n".join([*lines, "", ""]).encode() + body


@contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        yield connection


def read(connection: socket.socket, patience: float = 10) -> bytes:
    """Read until the connection is closed, or until nothing arrives for `patience` seconds."""
    connection.settimeout(patience)
    raw = b""
    with suppress(TimeoutError):
        while piece := connection.recv(65_536):
            raw += piece
    return raw


@pytest.mark.parametrize("in_turn", [True, False])
@pytest.mark.parametrize(
    ("requests", "statuses"),
    [
        ([ask(*INVOKE), ask(*INVOKE, CLOSE)], [200, 200]),
        ([ask(*INVOKE, version="1.0")], [200]),
        ([ask(*STREAM, version="1.0")], [200]),
        (
            [ask(*INVOKE), ask("HEAD", "/_emulator/health", body=b""), ask(*INVOKE, CLOSE)],
            [200] * 3,
        ),
        ([ask(*STREAM), ask(*INVOKE, body=b"{"), ask(*INVOKE, CLOSE)], [200, 400, 200]),
        ([ask(*INVOKE), ask(*INVOKE) + ask(*STREAM), ask(*INVOKE, CLOSE)], [200] * 4),
        ([ask(*INVOKE)[:-1], b"}", ask(*STREAM)[:99], ask(*STREAM, CLOSE)[99:]], [200] * 2),
        ([ask(*INVOKE), b"nonsense\r\n\r\n"], [200, 400]),
        ([ask(*INVOKE)[:30] + b"\x00"], [400]),
        ([ask(*INVOKE, "Upgrade: h2c", "Connection: Upgrade, close")], [200]),
        ([ask(*INVOKE, "Upgrade: h2c", "Connection: Upgrade"), ask(*INVOKE, CLOSE)], [200, 200]),
        ([b"\r\n\r\n" + ask(*INVOKE), b"\r\n" + ask(*INVOKE, CLOSE)], [200, 200]),
        ([ask("POST", f"http://x{INVOKE[1]}"), ask(*INVOKE, CLOSE)], [200, 200]),
        ([ask(*INVOKE, "Transfer-Encoding: chunked"), ask(*INVOKE)], [400]),
        ([ask(*INVOKE, "X: " + "a" * MAX_HEAD_BYTES)], [431]),
        ([ask("CONNECT", "x:80", body=b"")], [400]),
        ([ask("FROB", "/", body=b"")], [400]),
    ],
)
def test_requests_of_a_connection_are_answered_in_turn(
    requests: list[bytes], statuses: list[int], *, in_turn: bool
) -> None:
    pieces = requests if in_turn else [b"".join(requests)]
    with engine_running(StubEngine([" a"])) as url, connected(url) as connection:
        raw = b""
        for piece in pieces:
            with suppress(ConnectionError):
                connection.sendall(piece)
            raw += read(connection, 0.1 if piece is not pieces[-1] else 10)

    found = [int(part[:3]) for part in raw.split(b"HTTP/1.1 ")[1:]]
    assert found == statuses
    if statuses[-1] in (400, 431) and b"CONNECT" not in requests[0]:
        assert json.loads(raw.rpartition(b"\r\n\r\n")[2])["message"]


def test_a_client_that_waits_for_permission_to_send_gets_it() -> None:
    request = ask(*INVOKE, "Expect: 100-continue", CLOSE)
    with engine_running(StubEngine([" a"])) as url, connected(url) as connection:
        connection.sendall(request[: -len(BODY)])
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BODY)

        assert read(connection).startswith(b"HTTP/1.1 200 OK\r\n")


def test_answers_have_their_reason_phrase() -> None:
    with engine_running(StubEngine([" a"])) as url, connected(url) as connection:
        connection.sendall(ask(*INVOKE) + ask(*INVOKE, CLOSE, body=b"{"))
        raw = read(connection)

    assert raw.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"HTTP/1.1 400 Bad Request\r\n" in raw


@pytest.mark.parametrize(
    "behind",
    [
        b"",
        b"G",
        b"\r\n",
        b"GET / HTTP/1.1\r\n",
        ask(*INVOKE),
        b"no HTTP at all\r\n\r\n",
        ask(*INVOKE) * (2 * MAX_PIPELINED_REQUESTS),
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n" + b"a" * 8_000_000,
    ],
    ids=["nothing", "a byte", "a line", "a head", "a call", "nonsense", "many calls", "8 MB"],
)
@pytest.mark.parametrize("way", [INVOKE, STREAM], ids=["whole", "stream"])
def test_a_client_that_leaves_is_noticed_whatever_it_has_sent(
    way: tuple[str, str], behind: bytes
) -> None:
    with engine_running(StubEngine([" on"] * 10_000, pause=0.05)) as url:
        with connected(url) as connection:
            connection.sendall(ask(*way))
            until(lambda: running(url) == 1, seconds=5)
            connection.sendall(behind)
            time.sleep(0.1)
            assert running(url) == 1
        until(lambda: running(url) == 0, seconds=2)

        assert call(url, "GET", "/_emulator/requests")[1].count(b'"cancelled"') == 1


def seconds_until_closed(connection: socket.socket) -> tuple[float, bytes]:
    began = time.monotonic()
    raw = read(connection)
    return time.monotonic() - began, raw


@pytest.mark.parametrize(
    ("sent", "drip", "told"),
    [
        (b"POST /a HTTP/1.1\r\nHost: x\r\n", b"X: a\r\n", b"RequestTimeoutException"),
        (ask(*INVOKE)[:-10], b" ", b"RequestTimeoutException"),
        (ask(*INVOKE) + b"GET / HTTP/1.1\r\n", b"X: a\r\n", b"RequestTimeoutException"),
        (ask("POST", "/_emulator/reset")[:-10], b" ", b"RequestTimeoutException"),
    ],
    ids=["head", "body", "second head", "body of a control route"],
)
def test_a_request_that_drips_is_ended_in_time(
    sent: bytes, drip: bytes, told: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http1, "BODY_MARGIN_SECONDS", 0.0)
    limits = Limits(head=0.6, body=0.6)
    with engine_running(StubEngine([" a"]), limits=limits) as url, connected(url) as connection:
        connection.sendall(sent)
        began = time.monotonic()
        connection.settimeout(0.1)
        raw, is_open = b"", True
        while is_open:
            assert time.monotonic() - began < 10
            with suppress(TimeoutError):
                try:
                    connection.sendall(drip)
                    raw += (piece := connection.recv(65_536))
                    is_open = piece != b""
                except ConnectionError:
                    is_open = False

        assert time.monotonic() - began > 0.5
        assert told in raw


@pytest.mark.parametrize("first", [b"", ask(*INVOKE), b"\r\n", b"PRI"])
def test_an_idle_connection_is_closed_in_time(first: bytes) -> None:
    limits = Limits(idle=0.5, head=0.5)
    with engine_running(StubEngine([" a"]), limits=limits) as url, connected(url) as connection:
        connection.sendall(first)

        assert 0.4 < seconds_until_closed(connection)[0] < 5


def test_a_slow_answer_outlasts_the_limit_and_the_limit_begins_after_it() -> None:
    engine = StubEngine([" slow"], pause=1)
    with engine_running(engine, limits=Limits(idle=0.4)) as url, connected(url) as connection:
        connection.sendall(ask(*INVOKE))

        assert b" slow" in connection.recv(65_536)
        assert 0.3 < seconds_until_closed(connection)[0] < 5


def test_a_client_that_closes_is_let_go_at_once() -> None:
    with engine_running(StubEngine([" a"])) as url, connected(url) as connection:
        connection.sendall(ask(*INVOKE))
        assert b" a" in connection.recv(65_536)
        connection.shutdown(socket.SHUT_WR)

        assert seconds_until_closed(connection)[0] < 5


def test_a_body_that_its_answer_did_not_wait_for_is_dropped_and_the_connection_goes_on() -> None:
    async def early(_: Request) -> Response:
        return Response("ok")

    app = Starlette(routes=[Route("/early", early, methods=["POST"])])
    request = ask("POST", "/early", body=b"a" * 100_000)
    limits = Limits(body=0.3)
    with app_running(app, InFlightCalls(), limits=limits) as url, connected(url) as connection:
        for _ in range(2):
            connection.sendall(request[:200])
            assert connection.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")
            connection.sendall(request[200:])
        connection.sendall(request[:-1])  # the last byte is missing

        took, raw = seconds_until_closed(connection)
        assert raw.count(b"HTTP/1.1 ") == 1, "nothing is said after the answer"
        assert took < http1.BODY_MARGIN_SECONDS + 5


def test_half_a_request_without_a_key_leaves_the_service_to_others() -> None:
    # 300 heads that end inside a value once blocked the process forever.
    with engine_running(StubEngine([" a"])) as url:
        for _ in range(300):
            with connected(url) as connection:
                connection.sendall(ask(*INVOKE)[:-20] + b"X: " + b"a" * 6_000)

        assert call(url, "GET", "/_emulator/health")[0].status == 200
        assert running(url) == 0
