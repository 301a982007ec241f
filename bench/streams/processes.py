"""Child processes: their output, CPU time and memory."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil

ROOT = Path(__file__).parent.parent.parent
START_SECONDS = 1200.0  # vLLM compiles a large model at its start
STOP_SECONDS = 60.0
IDLE_SECONDS = 10.0  # longest wait for idle processes
BUSY_SHARE = 0.2  # of one CPU core


@contextmanager
def running(command: list[str], environment: Mapping[str, str], log: Path) -> Iterator[int]:
    """Run a command with its output in the log, and yield its process id."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=ROOT,
            start_new_session=True,
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with suppress(ProcessLookupError):  # engine cores may outlive their parent
            os.killpg(process.pid, signal.SIGKILL)


def wait_for_port(log: Path, pid: int) -> int:
    """Wait for the port in the log, and return it. Raises `TimeoutError`."""
    deadline = time.monotonic() + START_SECONDS
    while is_alive(pid) and time.monotonic() < deadline:
        if found := re.search(r"listens on http://127.0.0.1:(\d+)", log.read_text()):
            return int(found[1])
        time.sleep(0.05)
    raise TimeoutError(f"the server does not say where it listens:\n{end_of(log)}")


def wait_until_ready(url: str, log: Path, pid: int) -> None:
    """Wait until the URL answers 200 while the process lives. Raises `TimeoutError`."""
    deadline = time.monotonic() + START_SECONDS
    while is_alive(pid) and time.monotonic() < deadline:
        with suppress(URLError, OSError), urlopen(url, timeout=10):  # noqa: S310 - our own
            return
        time.sleep(0.2)
    raise TimeoutError(f"{url} does not get ready:\n{end_of(log)}")


def is_alive(pid: int) -> bool:
    return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def end_of(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process without its children.

    Its clock counts nanoseconds. /proc counts hundredths of a second, which is too coarse: 80
    microseconds a token for one user with 128 tokens.
    """
    # The id of a process's clock: clock_getcpuclockid(3), Linux's CPUCLOCK_SCHED.
    return time.clock_gettime((~pid << 3) | 2)


def wait_until_idle(pids: Iterable[int]) -> None:
    """Wait up to `IDLE_SECONDS` until these processes and their children are idle.

    vLLM's processes poll for a second after their last work, and would take CPU from the server
    that is measured next.
    """
    deadline = time.monotonic() + IDLE_SECONDS
    while time.monotonic() < deadline:
        before = total_cpu(pids)
        time.sleep(0.1)
        if total_cpu(pids) - before < 0.1 * BUSY_SHARE:
            return


def total_cpu(pids: Iterable[int]) -> float:
    """Return the CPU seconds of these processes and all their children."""
    total = 0.0
    for pid in pids:
        family = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
        for member in family:
            with suppress(OSError):  # the process has ended
                total += cpu_seconds(member)
    return total


def memory(pid: int) -> tuple[int, int]:
    """Return the memory of a process and its children in bytes; shared pages count once (PSS)."""
    process = psutil.Process(pid)
    children = 0
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            children += child.memory_full_info().pss
    return process.memory_full_info().pss, children
