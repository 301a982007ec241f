"""Run the service in a process of its own, for tests."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from urllib.error import HTTPError
from urllib.request import urlopen

from invoke_api.testing.bedrock import Bedrock

# `-P`: do not import packages from the current folder, which may have an `engine`, too.
COMMAND = (sys.executable, "-P", "-m", "invoke_api", "serve", "--port", "0", "--stop-with-stdin")


@contextmanager
def server_running(*flags: str, seconds: float = 300) -> Iterator[str]:
    """Run `invoke-api serve` with these flags and yield its URL once it is ready.

    It ends with this process, too, even if that is killed: its standard input is a pipe from here.

    Raises `RuntimeError` if it is not ready within `seconds`. The default is for the demo models on
    a busy machine.
    """
    env = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONPATH" and not name.startswith("INVOKE_API_")
    }
    with TemporaryFile("w+") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*COMMAND, *flags],
            stdin=subprocess.PIPE,
            stderr=log,
            env=env,
            start_new_session=True,
        )
        try:
            yield _wait(process, log.fileno(), time.monotonic() + seconds)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin:
                process.stdin.close()


@contextmanager
def bedrock_running(*flags: str) -> Iterator[Bedrock]:
    """Run a service and yield a `Bedrock`. Without flags it uses the scripted engine."""
    with server_running(*(flags or ("--engine", "scripted"))) as url:
        yield Bedrock(url)


def _wait(process: "subprocess.Popen[bytes]", log: int, deadline: float) -> str:
    url = None
    while time.monotonic() < deadline and process.poll() is None:
        text = os.pread(log, 100_000, 0).decode()
        if found := re.search(r"listens on (https?://\S+)", text):
            url = found[1]
            if _is_ready(url):
                return url
        time.sleep(0.01)
    raise RuntimeError(f"invoke-api did not start:\n{os.pread(log, 100_000, 0).decode()}")


def _is_ready(url: str) -> bool:
    try:
        with urlopen(f"{url}/_emulator/ready", timeout=10):  # noqa: S310 - our own
            return True
    except HTTPError as error:  # 503: a model is still loading
        error.close()
        return False
