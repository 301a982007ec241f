"""A service whose log tests read."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.servers import COMMAND, ROOT, read_url, wait_until_ready

ACCESS = "invoke_api.access"


@contextmanager
def logged_service(
    log: Path, *flags: str, env: Mapping[str, str] | None = None, seconds: float = 300
) -> Iterator[str]:
    """Run `invoke-api serve` with its log in a file. Yield the URL once it is ready."""
    # An engine that ran in this process has left variables, which would set vLLM's level.
    own = {name: value for name, value in os.environ.items() if not name.startswith("VLLM_")}
    with log.open("w+") as file:
        process = subprocess.Popen(
            [*COMMAND, *flags],
            stderr=file,
            stdout=file,
            cwd=ROOT,
            env={**own, **(env or {})},
            start_new_session=True,
        )
        try:
            url = read_url(process, file.fileno(), time.monotonic() + seconds)
            url = url.split('"')[0]  # with --log-format json a quote ends it
            wait_until_ready(url, seconds)
            yield url
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)


def json_lines(log: Path) -> list[dict[str, Any]]:
    """Return the complete lines of a log in JSON."""
    return [json.loads(line) for line in log.read_text().splitlines(keepends=True) if "\n" in line]


def access_lines(log: Path) -> list[dict[str, Any]]:
    return [line for line in json_lines(log) if line["logger"] == ACCESS]
