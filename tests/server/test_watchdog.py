"""A blocked loop is logged, and a signal still ends the service."""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psutil
import pytest

from invoke_api.server import guardian, watchdog
from invoke_api.server.guardian import BEAT, LOOP_ENDED, ShutdownMonitor, guard
from invoke_api.server.watchdog import BLOCKED, LOST_TIME, UNBLOCKED, BlockDetector, Watchdog
from tests.support.servers import ROOT

STACK = b'Current thread 0x1 (most recent call first):\n  File "x.py", line 1 in f\n'

# A service with routes that block the loop, each in another way.
SERVICE = """
import asyncio, re, sys, time
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from invoke_api.pipeline.request_body import InFlightCalls
from invoke_api.server import bootstrap, watchdog
from invoke_api.server.http_server import Grace, open_socket, to_url

watchdog.BLOCKED_KILL_SECONDS = 1.0

def sleeps(): time.sleep(600)
def loops():
    while True: pass
def matches(): re.match("(a+)+$", "a" * 60 + "b")  # holds the interpreter
def resists():
    while True:
        try: time.sleep(600)
        except BaseException: pass
def keeps_a_thread(): asyncio.get_running_loop().run_in_executor(None, time.sleep, 600)

async def block(request):
    print("blocks", flush=True)
    globals()[request.path_params["how"]]()
    return Response("done")

app = Starlette(routes=[Route("/{how}", block)])
listener = open_socket("127.0.0.1", 0)
service = bootstrap.ServedApp(app, InFlightCalls(), None, Grace(0.0, 0.1))
asyncio.run(bootstrap.run(service, listener, lambda: print(to_url(listener), flush=True)))
"""


@contextmanager
def blocked_service(how: str, script: str = SERVICE) -> Iterator[subprocess.Popen[str]]:
    """Run a service with a request that blocks its loop in this way."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=-1, stderr=-1, text=True, env=env
    ) as process:
        assert process.stdout
        try:
            address = urlsplit(process.stdout.readline().strip())
            with socket.create_connection((address.hostname, address.port)) as client:
                client.sendall(f"GET /{how} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                assert process.stdout.readline() == "blocks\n"
                yield process
        finally:
            process.kill()


def end(process: subprocess.Popen[str], number: signal.Signals) -> tuple[float, str]:
    """Return the seconds until the process ended, and its standard error."""
    began = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    return time.monotonic() - began, errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("how", ["sleeps", "loops", "matches", "resists"])
def test_a_signal_ends_a_service_whose_loop_stands_still(how: str, number: signal.Signals) -> None:
    with blocked_service(how) as process:
        took, errors = end(process, number)

    assert process.returncode == -signal.SIGKILL
    assert took < 20  # little more than 1 s on an idle core
    assert "its event loop has been blocked for 1 s" in errors
    assert "in block" in errors


def test_a_signal_ends_a_service_that_waits_for_a_thread() -> None:
    script = SERVICE.replace(
        "watchdog.BLOCKED_KILL", "bootstrap.SHUTDOWN_MARGIN_SECONDS = 1.0\nwatchdog.BLOCKED_KILL"
    )
    with blocked_service("keeps_a_thread", script) as process:
        took, errors = end(process, signal.SIGTERM)

    assert process.returncode == -signal.SIGKILL
    assert took < 20
    assert "it still runs after 1.1 s" in errors


def test_the_guardian_ends_with_a_service_that_was_killed() -> None:
    with blocked_service("sleeps") as process:
        children = psutil.Process(process.pid).children()
        process.kill()
        process.communicate(timeout=30)
        gone, alive = psutil.wait_procs(children, timeout=30)

    assert len(gone) == 1
    assert not alive


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "CHECK_SECONDS", 0.01)
    monkeypatch.setattr(watchdog, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(watchdog, "BLOCKED_LOG_SECONDS", 0.1)


@pytest.mark.usefixtures("impatient")
async def test_the_stack_of_a_loop_that_stands_still_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def stand_still() -> None:
        until_logged("has been blocked")
        time.sleep(0.3)

    def until_logged(words: str) -> None:
        deadline = time.monotonic() + 30
        while words not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.01)

    dog = Watchdog()
    dog.start(asyncio.get_running_loop())
    stand_still()
    await asyncio.to_thread(until_logged, "runs again")
    dog.stop()

    still = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(still) == 1
    assert "in stand_still" in still[0].getMessage()
    assert "The event loop runs again after" in caplog.text


@pytest.mark.usefixtures("impatient")
async def test_a_loop_that_runs_is_left_alone_and_the_thread_ends() -> None:
    before = threading.active_count()
    dog = Watchdog()
    dog.start(asyncio.get_running_loop())
    assert threading.active_count() == before + 1
    await asyncio.sleep(0.05)
    dog.stop()

    assert threading.active_count() == before


async def test_a_service_without_a_guardian_runs_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    dog = Watchdog([signal.SIGUSR2], 1.0)
    dog.start(asyncio.get_running_loop())
    dog.stop()

    assert "guardian process can't be started" in caplog.text


def check(detector: BlockDetector, *checks: tuple[int, float]) -> list[tuple[str, float] | None]:
    return [detector.check(beats, now) for beats, now in checks]


def test_a_standstill_is_told_once_and_so_is_its_end() -> None:
    seconds = [(0, half / 2) for half in range(1, 30)]
    found = [each for each in check(BlockDetector(0.0), *seconds, (1, 15.0), (2, 15.5)) if each]

    assert found == [(BLOCKED, 5.0), (UNBLOCKED, 15.0)]


def test_a_slow_loop_does_not_stand_still() -> None:
    beats = [(half // 6, half / 2) for half in range(1, 100)]  # one in 3 s

    assert not any(check(BlockDetector(0.0), *beats))


def test_time_in_which_the_process_did_not_run_is_no_standstill() -> None:
    detector = BlockDetector(0.0)

    assert check(detector, (1, 0.5), (1, 1.0), (1, 3_601.5)) == [
        None,
        None,
        (LOST_TIME, 3_600.0),
    ]
    assert check(detector, (1, 3_602.0), (2, 3_602.5)) == [None, None]


def test_a_monitor_without_a_signal_kills_nobody() -> None:
    monitor = ShutdownMonitor(max_blocked=10, max_total=25)
    monitor.receive(BEAT, now=0.0)

    assert monitor.reason_to_kill(now=1_000.0) is None


def test_after_a_signal_the_loop_must_go_on() -> None:
    monitor = ShutdownMonitor(max_blocked=10, max_total=100)
    monitor.receive(STACK, now=1_000.0)  # long after the last beat

    assert monitor.reason_to_kill(now=1_010.0) is None
    assert "blocked for 10 s" in (monitor.reason_to_kill(now=1_010.1) or "")
    monitor.receive(BEAT * 3, now=1_010.2)
    assert monitor.reason_to_kill(now=1_020.1) is None
    assert monitor.stack == STACK


def test_after_a_signal_the_service_must_end_though_its_loop_has_ended() -> None:
    monitor = ShutdownMonitor(max_blocked=10, max_total=25)
    monitor.receive(BEAT + STACK + LOOP_ENDED, now=0.0)

    assert monitor.reason_to_kill(now=24.0) is None
    assert monitor.reason_to_kill(now=25.1) == "it still runs after 25 s"


def test_the_first_signal_counts() -> None:
    monitor = ShutdownMonitor(max_blocked=10, max_total=25)
    monitor.receive(STACK, now=0.0)
    monitor.receive(BEAT + STACK, now=20.0)

    assert monitor.reason_to_kill(now=26.0)


def test_the_guardian_kills_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    killed: list[bool] = []
    theirs, ours = os.pipe()
    os.write(ours, BEAT + STACK)
    times = iter([0.0, 0.0, 11.0, 11.0])
    guard(theirs, ShutdownMonitor(10, 25), lambda: killed.append(True), lambda: next(times))

    assert killed == [True]
    assert "It is killed" in capsys.readouterr().err
    os.close(ours)
    os.close(theirs)


def test_the_guardian_ends_with_the_service() -> None:
    theirs, ours = os.pipe()
    os.close(ours)
    guard(theirs, ShutdownMonitor(10, 25), lambda: pytest.fail("it is gone"))
    os.close(theirs)


def test_the_guardian_runs_without_the_package() -> None:
    service = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    command = [sys.executable, "-I", "-S", guardian.__file__, str(service.pid), "0.1", "600"]
    with subprocess.Popen(command, stdin=-1, stderr=-1) as process:
        assert process.stdin
        assert process.stderr
        process.stdin.write(STACK)
        process.stdin.flush()

        assert service.wait(timeout=60) == -signal.SIGKILL
        assert b"blocked for 0.1 s" in process.stderr.read()
