"""Starts of the command in 20 ms instead of half a second, by forks of a prepared process.

As a program, this module imports the command, and forks for each order that it reads.
"""

import atexit
import gc
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NoReturn

import psutil

LOCK = threading.Lock()


class Forked:
    """A running command, with the part of `subprocess.Popen` that tests use."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def poll(self) -> int | None:
        return None if psutil.pid_exists(self.pid) else 0

    def wait(self, timeout: float) -> None:
        with suppress(psutil.NoSuchProcess):
            psutil.Process(self.pid).wait(timeout)


def start(arguments: Sequence[str], *, log: int, cwd: str | Path, env: Mapping[str, str]) -> Forked:
    """Start `invoke-api` with these arguments, in a session of its own, and with this log."""
    pid, _ = _order(arguments, cwd, env, [log, log], waits=False)
    return Forked(pid)


def run(
    arguments: Sequence[str], *, cwd: str | Path, env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run `invoke-api` with these arguments to its end."""
    with TemporaryFile("w+") as stdout, TemporaryFile("w+") as stderr:
        _, status = _order(arguments, cwd, env, [stdout.fileno(), stderr.fileno()], waits=True)
        for file in (stdout, stderr):
            file.seek(0)
        return subprocess.CompletedProcess(arguments, status, stdout.read(), stderr.read())


def _order(
    arguments: Sequence[str], cwd: str | Path, env: Mapping[str, str], to: list[int], *, waits: bool
) -> tuple[int, int]:
    paths = [f"/proc/{os.getpid()}/fd/{file}" for file in to]
    order = {"arguments": arguments, "cwd": str(cwd), "env": {**env}, "to": paths, "waits": waits}
    with LOCK:
        process = _parent()
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        pid, status = json.loads(process.stdout.readline())
    return pid, status


@cache
def _parent() -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.support.forking"]
    process = subprocess.Popen(command, stdin=-1, stdout=-1, text=True, start_new_session=True)
    atexit.register(process.communicate)  # it ends with its orders
    return process


def main() -> None:
    from invoke_api.cli import main as command  # noqa: PLC0415 - for the forks alone

    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no fork becomes a zombie
    for line in sys.stdin:
        order = json.loads(line)
        ours, theirs = os.pipe()
        pid = os.fork()
        if pid == 0:
            _become(order)
            _run(command, theirs)
        os.close(theirs)
        with os.fdopen(ours) as told:
            code = int(told.read() or 0) if order["waits"] else 0
            sys.stdout.write(json.dumps([pid, code]) + "\n")
            sys.stdout.flush()


def _become(order: Mapping[str, Any]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    sys.argv = ["invoke-api", *order["arguments"]]
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    for number, path in enumerate([os.devnull, *order["to"]]):
        os.dup2(os.open(path, flags if number else os.O_RDONLY), number)


def _run(command: Any, status: int) -> NoReturn:
    """Run the command, report its exit status, and end."""
    code: object = 1
    try:
        command(prog_name="invoke-api")
    except SystemExit as end:
        code = end.code or 0
        raise
    finally:
        with suppress(BrokenPipeError):  # nobody waits
            os.write(status, str(code).encode())
    sys.exit()


if __name__ == "__main__":
    main()
