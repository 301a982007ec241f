"""`invoke-api` in a process, with access to its log, pid and exit status."""

import os
import re
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from tests.support.metrics import Scrape
from tests.support.servers import COMMAND, ROOT, wait_until_ready

SCRIPTED = ("--engine", "scripted")
UNDER_WAY = "invoke_api_calls_under_way"


@dataclass(frozen=True, slots=True)
class Service:
    """A running `invoke-api serve`, or another command of it."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def seen(self) -> psutil.Process:
        return psutil.Process(self.process.pid)

    def under_way(self) -> float:
        """Return the number of calls in flight."""
        return Scrape(self.url).sum(UNDER_WAY)

    def end(self, number: signal.Signals = signal.SIGTERM, seconds: float = 60) -> int:
        """Send a signal, and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(timeout=seconds)


@contextmanager
def service_running(
    *flags: str,
    command: str = "serve",
    port: int = 0,
    limits: Mapping[int, int] | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Service]:
    """Yield a service that is ready. `limits` are hard system limits, such as of open files.

    The service must end on SIGTERM, and its log must have no traceback.
    """
    with TemporaryDirectory() as folder:
        log = Path(folder) / "log.txt"
        given = [COMMAND[0], command, "--port", str(port), *flags]
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                given,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                cwd=ROOT,
                env={**os.environ, **(env or {})},
                start_new_session=True,
                preexec_fn=partial(_bound, limits) if limits else None,  # noqa: PLW1509 - no threads start here
            )
        try:
            url = _read_url(process, log)
            if command == "serve":
                wait_until_ready(url, seconds=60)
            yield Service(url, process, log)
            text = log.read_text(errors="replace")
            assert "Traceback" not in text, text[text.index("Traceback") - 200 :][:2_000]
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(timeout=60)
                finally:
                    process.kill()


def _bound(limits: Mapping[int, int]) -> None:
    for kind, most in limits.items():
        resource.setrlimit(kind, (most, most))


def _read_url(process: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r'listens on (https?://[^\s"]+)', log.read_text()):
            return found[1]
        time.sleep(0.02)
    raise AssertionError(f"the service did not say where it listens:\n{log.read_text()}")


def seconds_until(condition: Callable[[], bool], most: float) -> float:
    """Wait for a condition, and return how long it took. Fails after `most` seconds."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < most, f"not within {most} s"
        time.sleep(0.02)
    return time.monotonic() - began
