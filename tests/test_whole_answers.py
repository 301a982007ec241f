"""Whole answers written without h11 are h11's to the byte, and what is not plain is left to it."""

import re
import socket
from urllib.parse import urlsplit

import h11
import pytest

from invoke_api import whole_answers
from invoke_api.header_order import OrderedProtocol
from invoke_api.whole_answers import encode_whole
from tests.servers import SEVEN_B, engine_running
from tests.stubs import StubEngine

LENGTH = (b"Content-Length", b"2")
KEEP_ALIVE = (b"Connection", b"keep-alive")
BODY = b'{"prompt": "Hi"}'


def encode_by_h11(status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> bytes:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    connection.next_event()
    connection.next_event()
    events = [
        h11.Response(status_code=status, headers=headers),
        h11.Data(data=body),
        h11.EndOfMessage(),
    ]
    return b"".join(connection.send(event) or b"" for event in events)


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize(
    "headers",
    [
        [LENGTH],
        [(b"Date", b"now"), LENGTH, KEEP_ALIVE, (b"x-amzn-RequestId", b"1"), (b"Empty", b"")],
        [(b"content-length", b"2"), (b"x", b"a\tb \xe4")],
    ],
)
def test_h11_would_write_the_same(status: int, headers: list[tuple[bytes, bytes]]) -> None:
    assert encode_whole(status, headers, b"{}") == encode_by_h11(status, headers, b"{}")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"Content-Length", b"3")],
        [LENGTH, (b"Connection", b"close")],
        [LENGTH, (b"Transfer-Encoding", b"chunked")],
        [LENGTH, LENGTH],
        [LENGTH, (b"x", b"a\r\nSet-Cookie: b")],
        [LENGTH, (b"x", b"a\nb")],
        [LENGTH, (b"x", b"a\0b")],
    ],
)
def test_what_is_not_plain_is_left_to_h11(headers: list[tuple[bytes, bytes]]) -> None:
    assert encode_whole(200, headers, b"{}") is None


def ask(method: str, path: str, *fields: str, version: str = "1.1", body: bytes = BODY) -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: x", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join([*lines, "", ""]).encode() + body


INVOKE = ("POST", f"/model/{SEVEN_B}/invoke")
CLOSE = "Connection: close"
VARYING = re.compile(rb"(Date|x-amzn-RequestId|X-Amzn-Bedrock-Invocation-Latency): [^\r]*")


def answers(requests: list[bytes]) -> bytes:
    """All that comes, without what differs each time."""
    with engine_running(StubEngine([" a"])) as url:
        address = urlsplit(url)
        with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
            connection.sendall(b"".join(requests))
            raw = b"".join(iter(lambda: connection.recv(65_536), b""))
    return VARYING.sub(rb"\1", raw)


@pytest.mark.parametrize(
    ("requests", "count"),
    [
        ([ask(*INVOKE), ask(*INVOKE, CLOSE)], 2),
        ([ask(*INVOKE, version="1.0")], 1),
        ([ask(*INVOKE), ask("HEAD", "/_emulator/health", body=b""), ask(*INVOKE, CLOSE)], 3),
        ([ask(*INVOKE), b"nonsense\r\n\r\n"], 2),
        ([ask(*INVOKE, "Upgrade: h2c", "Connection: Upgrade, close")], 1),
        ([ask(*INVOKE, "Expect: 100-continue"), ask(*INVOKE, CLOSE)], 3),
        ([ask(*INVOKE), ask(*INVOKE, body=b"{"), ask("GET", "/nowhere", CLOSE)], 3),
    ],
)
def test_a_connection_goes_on_as_hypercorn_would_have_it(
    requests: list[bytes], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = answers(requests)
    monkeypatch.setattr(whole_answers, "WholeProtocol", OrderedProtocol)
    theirs = answers(requests)

    assert ours == theirs
    assert ours.count(b"HTTP/1.1 ") == count
