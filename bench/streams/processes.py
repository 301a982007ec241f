"""Processes that are started here: their output, their CPU time, their memory."""

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
START = 1200.0  # seconds; a large model is compiled at its start
STOP = 60.0  # seconds
IDLE = 10.0  # seconds, at most
BUSY = 0.2  # of one core


@contextmanager
def running(command: list[str], environment: Mapping[str, str], log: Path) -> Iterator[int]:
    """The id of this command's process, whose output goes to the log."""
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
            process.wait(timeout=STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with suppress(ProcessLookupError):  # engine cores outlive who did not close them
            os.killpg(process.pid, signal.SIGKILL)


def wait_for_port(log: Path, pid: int) -> int:
    """The port that the log says. Raises `TimeoutError`."""
    deadline = time.monotonic() + START
    while is_alive(pid) and time.monotonic() < deadline:
        if found := re.search(r"listens on http://127.0.0.1:(\d+)", log.read_text()):
            return int(found[1])
        time.sleep(0.05)
    raise TimeoutError(f"the server does not say where it listens:\n{end_of(log)}")


def wait_until_ready(url: str, log: Path, pid: int) -> None:
    """Until it answers 200, as long as the process lives. Raises `TimeoutError`."""
    deadline = time.monotonic() + START
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
    """What a process has used, its children's left out.

    Its clock counts nanoseconds; /proc counts hundredths of a second, which are 80 microseconds a
    token where one user gets 128 of them.
    """
    # The id of another process's clock: clock_getcpuclockid(3), Linux's CPUCLOCK_SCHED.
    return time.clock_gettime((~pid << 3) | 2)


def wait_until_idle(pids: Iterable[int]) -> None:
    """Until these processes and their children do next to nothing, but not for ever.

    vLLM's processes look for work without a pause for a second after the last of it: whoever is
    measured then next shares the cores with them.
    """
    deadline = time.monotonic() + IDLE
    while time.monotonic() < deadline:
        before = total_cpu(pids)
        time.sleep(0.1)
        if total_cpu(pids) - before < 0.1 * BUSY:
            return


def total_cpu(pids: Iterable[int]) -> float:
    """Seconds that these processes and all their children have used."""
    total = 0.0
    for pid in pids:
        family = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
        for member in family:
            with suppress(OSError):  # one that has ended meanwhile
                total += cpu_seconds(member)
    return total


def memory(pid: int) -> tuple[int, int]:
    """Bytes of a process and of all its children: what they share is counted once (PSS)."""
    process = psutil.Process(pid)
    children = 0
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            children += child.memory_full_info().pss
    return process.memory_full_info().pss, children
