"""A loop that stands still is noticed, and a signal still ends the service."""

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
from invoke_api.server.guardian import BEAT, OVER, Vigil, guard
from invoke_api.server.watchdog import LOST, RUNS_AGAIN, STILL, Standstill, Watchdog
from tests.support.servers import ROOT

STACK = b'Current thread 0x1 (most recent call first):\n  File "x.py", line 1 in f\n'

# A service with a route that never gives the loop back, each in a way of its own.
SERVICE = """
import asyncio, re, sys, time
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from invoke_api.server import bootstrap, watchdog
from invoke_api.pipeline.request_body import Calls
from invoke_api.server.http_server import Grace, open_socket, to_url

watchdog.END_STILL_SECONDS = 1.0

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
service = bootstrap.Service(app, Calls(), None, Grace(0.0, 0.1))
asyncio.run(bootstrap.run(service, listener, lambda: print(to_url(listener), flush=True)))
"""


@contextmanager
def blocked_service(how: str, script: str = SERVICE) -> Iterator[subprocess.Popen[str]]:
    """A service in whose loop a request runs that does this, and does not return."""
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
    """How long it took to end, and what was on its standard error."""
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
    assert took < 20  # 1 s and a little on an idle core
    assert "its event loop has stood still for 1 s since" in errors
    assert "in block" in errors


def test_a_signal_ends_a_service_that_waits_for_a_thread() -> None:
    earlier = "bootstrap.END_SECONDS = 1.0\nwatchdog.END_STILL"
    script = SERVICE.replace("watchdog.END_STILL", earlier)
    with blocked_service("keeps_a_thread", script) as process:
        took, errors = end(process, signal.SIGTERM)

    assert process.returncode == -signal.SIGKILL
    assert took < 20
    assert "it has not ended in 1.1 s" in errors


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
    monkeypatch.setattr(watchdog, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(watchdog, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(watchdog, "STILL_SECONDS", 0.1)


@pytest.mark.usefixtures("impatient")
async def test_the_stack_of_a_loop_that_stands_still_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def stand_still() -> None:
        until_logged("stood still")
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

    assert "No guardian" in caplog.text


def look_at(standstill: Standstill, *looks: tuple[int, float]) -> list[tuple[str, float] | None]:
    return [standstill.look(beats, now) for beats, now in looks]


def test_a_standstill_is_told_once_and_so_is_its_end() -> None:
    seconds = [(0, half / 2) for half in range(1, 30)]
    found = [each for each in look_at(Standstill(0.0), *seconds, (1, 15.0), (2, 15.5)) if each]

    assert found == [(STILL, 5.0), (RUNS_AGAIN, 15.0)]


def test_a_slow_loop_does_not_stand_still() -> None:
    beats = [(half // 6, half / 2) for half in range(1, 100)]  # one in 3 s

    assert not any(look_at(Standstill(0.0), *beats))


def test_time_in_which_the_process_did_not_run_is_no_standstill() -> None:
    standstill = Standstill(0.0)

    assert look_at(standstill, (1, 0.5), (1, 1.0), (1, 3_601.5)) == [None, None, (LOST, 3_600.0)]
    assert look_at(standstill, (1, 3_602.0), (2, 3_602.5)) == [None, None]


def test_a_vigil_without_a_signal_kills_nobody() -> None:
    vigil = Vigil(still=10, total=25)
    vigil.hear(BEAT, now=0.0)

    assert vigil.verdict(now=1_000.0) is None


def test_after_a_signal_the_loop_must_go_on() -> None:
    vigil = Vigil(still=10, total=100)
    vigil.hear(STACK, now=1_000.0)  # it has stood still for long

    assert vigil.verdict(now=1_010.0) is None
    assert "stood still for 10 s" in (vigil.verdict(now=1_010.1) or "")
    vigil.hear(BEAT * 3, now=1_010.2)
    assert vigil.verdict(now=1_020.1) is None
    assert vigil.stack == STACK


def test_after_a_signal_the_service_must_end_though_its_loop_has_ended() -> None:
    vigil = Vigil(still=10, total=25)
    vigil.hear(BEAT + STACK + OVER, now=0.0)

    assert vigil.verdict(now=24.0) is None
    assert vigil.verdict(now=25.1) == "it has not ended in 25 s"


def test_the_first_signal_counts() -> None:
    vigil = Vigil(still=10, total=25)
    vigil.hear(STACK, now=0.0)
    vigil.hear(BEAT + STACK, now=20.0)

    assert vigil.verdict(now=26.0)


def test_the_guardian_kills_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    killed: list[bool] = []
    theirs, ours = os.pipe()
    os.write(ours, BEAT + STACK)
    times = iter([0.0, 0.0, 11.0, 11.0])
    guard(theirs, Vigil(10, 25), lambda: killed.append(True), lambda: next(times))

    assert killed == [True]
    assert "it is killed" in capsys.readouterr().err
    os.close(ours)
    os.close(theirs)


def test_the_guardian_ends_with_the_service() -> None:
    theirs, ours = os.pipe()
    os.close(ours)
    guard(theirs, Vigil(10, 25), lambda: pytest.fail("it is gone"))
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
        assert b"stood still for 0.1 s" in process.stderr.read()
