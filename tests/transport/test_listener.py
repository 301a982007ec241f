"""The accept loop: limits of connections, and recovery from a lack of open files."""

import json
import logging
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme

from invoke_api.transport import listener
from invoke_api.transport.limits import Limits
from tests.support.servers import (
    COMMAND,
    SEVEN_B,
    call,
    command_running,
    engine_running,
    wait_until_ready,
)
from tests.support.stubs import StubEngine
from tests.support.waiting import until
from tests.transport.test_http1 import INVOKE, ask, connected, read


def is_served(connection: socket.socket) -> bool:
    connection.sendall(ask(*INVOKE))
    return connection.recv(65_536).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("limits", [Limits(connections=3), Limits(per_address=3)])
def test_a_connection_too_many_is_told_so_and_the_others_go_on(
    limits: Limits, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        engine_running(StubEngine([" a"]), limits=limits) as url,
        ExitStack() as stack,
        caplog.at_level(logging.WARNING),
    ):
        three = [stack.enter_context(connected(url)) for _ in range(3)]
        assert all(map(is_served, three))
        for _ in range(5):
            with connected(url) as fourth:
                head, _, body = read(fourth).partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
                assert b"x-amzn-ErrorType: ServiceUnavailableException" in head
                assert "Too many connections" in json.loads(body)["message"]
        assert all(map(is_served, three))
        three[0].close()

        def has_room() -> bool:
            with connected(url) as another:
                return is_served(another)

        until(has_room, seconds=5)
    told = [each for each in caplog.messages if "was refused" in each]
    assert len(told) == 1, "said once, not for each"


def test_another_address_has_its_own_share() -> None:
    with (
        engine_running(StubEngine([" a"]), limits=Limits(per_address=1)) as url,
        connected(url) as first,
    ):
        assert is_served(first)
        address = first.getpeername()
        with socket.create_connection(address, 10, source_address=("127.0.0.2", 0)) as other:
            assert is_served(other)


def test_without_files_the_listener_pauses_says_so_once_and_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "log"
    program = f'ulimit -n 80; exec "$@" 2> >(tee {log} >&2)'
    flags = ["--engine", "scripted", "--model", SEVEN_B]
    log.touch()
    with command_running(["bash", "-c", program, "-", *COMMAND, *flags]) as url:
        wait_until_ready(url, seconds=30)
        with ExitStack() as stack:
            for _ in range(120):
                stack.enter_context(connected(url))
            until(lambda: "no new connections" in log.read_text(), seconds=10)
        until(lambda: is_healthy(url), seconds=10)

    text = log.read_text()
    assert text.count("no new connections") == 1
    assert "Traceback" not in text
    assert len(text) < 5_000


def is_healthy(url: str) -> bool:
    return call(url, "GET", "/_emulator/health")[0].status == 200


def test_a_handshake_that_fails_or_does_not_come_leaves_nothing_behind(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    flags = ["--tls-cert", str(tmp_path / "both.pem"), "--tls-key", str(tmp_path / "both.pem")]
    with command_running([*COMMAND, "--engine", "scripted", *flags]) as url, ExitStack() as stack:
        for number in range(50):
            silent = stack.enter_context(connected(url))
            if number % 2:
                silent.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until_ready(url, seconds=30)

        assert is_healthy(url)


def test_a_flood_of_connections_leaves_time_for_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "ACCEPTS_PER_ITERATION", 2)
    with engine_running(StubEngine([" a"])) as url, ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(connected(url))

        assert is_healthy(url)
