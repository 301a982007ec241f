"""Connections that are served without h11 go on as they would with it."""

import re
import socket
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from invoke_api.connections import http1
from invoke_api.connections.header_order import OrderedProtocol
from invoke_api.dialects.invocation import Metrics
from invoke_api.operations import invoke
from invoke_api.operations.measured import Measured
from tests.servers import SEVEN_B, engine_running
from tests.stubs import StubEngine

BODY = b'{"prompt": "Hi"}'


def ask(method: str, path: str, *fields: str, version: str = "1.1", body: bytes = BODY) -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: x", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join([*lines, "", ""]).encode() + body


INVOKE = ("POST", f"/model/{SEVEN_B}/invoke")
STREAM = ("POST", f"/model/{SEVEN_B}/invoke-with-response-stream")
METRICS = Metrics(input_tokens=1, output_tokens=1, latency=1, first_byte_latency=1)
CLOSE = "Connection: close"
VARYING = re.compile(rb"(Date|x-amzn-RequestId|X-Amzn-Bedrock-Invocation-Latency): [^\r]*")


def answers(pieces: list[bytes]) -> bytes:
    """All that comes for these, each sent when nothing more comes for those before.

    What differs each time is left out.
    """
    with engine_running(StubEngine([" a"])) as url:
        address = urlsplit(url)
        with socket.create_connection((address.hostname, address.port)) as connection:
            raw = b""
            for piece in pieces:
                connection.sendall(piece)
                raw += read(connection, 0.1 if piece is not pieces[-1] else 10)
    return VARYING.sub(rb"\1", raw)


def read(connection: socket.socket, patience: float) -> bytes:
    """What comes until it ends, or nothing comes for so many seconds."""
    connection.settimeout(patience)
    raw = b""
    with suppress(TimeoutError):
        while piece := connection.recv(65_536):
            raw += piece
    return raw


@pytest.mark.parametrize("in_turn", [True, False])
@pytest.mark.parametrize(
    ("requests", "count"),
    [
        ([ask(*INVOKE), ask(*INVOKE, CLOSE)], 2),
        ([ask(*INVOKE, version="1.0")], 1),
        ([ask(*INVOKE), ask("HEAD", "/_emulator/health", body=b""), ask(*INVOKE, CLOSE)], 3),
        ([ask(*STREAM), ask(*INVOKE, body=b"{"), ask(*STREAM), ask(*INVOKE, CLOSE)], 4),
        ([ask(*INVOKE), ask(*INVOKE) + ask(*STREAM), ask(*INVOKE, CLOSE)], 4),
        ([ask(*INVOKE)[:-1], b"}", ask(*INVOKE) + ask(*STREAM)[:99], ask(*STREAM, CLOSE)[99:]], 3),
        ([ask(*INVOKE), b"nonsense\r\n\r\n"], 2),
        ([ask(*INVOKE, "Upgrade: h2c", "Connection: Upgrade, close")], 1),
        ([ask(*INVOKE, "Expect: 100-continue"), ask(*INVOKE, CLOSE)], 3),
        ([ask(*INVOKE), ask(*INVOKE, body=b"{"), ask("GET", "/nowhere", CLOSE)], 3),
    ],
)
def test_a_connection_goes_on_as_hypercorn_would_have_it(
    requests: list[bytes], count: int, *, in_turn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invoke, "draw_padding", lambda: 10)  # how long the padding of a chunk is
    monkeypatch.setattr(Measured, "_measure", lambda *_: METRICS)
    pieces = requests if in_turn else [b"".join(requests)]
    ours = answers(pieces)
    monkeypatch.setattr(http1, "WholeProtocol", OrderedProtocol)
    theirs = answers(pieces)

    assert ours == theirs
    assert ours.count(b"HTTP/1.1 ") == count
