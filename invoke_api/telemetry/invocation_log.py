"""The file of the invocation log, a line for each call, written by a thread of its own."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import orjson

from invoke_api.config_files import ConfigError
from invoke_api.telemetry.record import Logged, to_record
from invoke_api.wire.any_json import write_json

log = logging.getLogger(__name__)

MOST_WAITING = 1_000  # calls whose lines are still to be written
STUCK = f"{MOST_WAITING} others wait to be written"
FILE = "modelinvocations.jsonl"  # as the log stream in CloudWatch is called


class InvocationLog:
    """Lines stand in the order in which calls end. What can't be written is told of, and lost."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="invocation-log")
        self._added = self._done = 0  # the latter counts in the thread

    def add(self, call: Logged) -> None:
        """Returns at once: a thread makes the line and writes it."""
        if self._added - self._done >= MOST_WAITING:  # a disk that hangs, and bodies are large
            log.error("the call %s is missing in the invocation log: %s", call.request_id, STUCK)
            return
        self._added += 1
        with suppress(RuntimeError):  # closed: a call that outlives the service has no line
            self._thread.submit(self._write, call)

    async def close(self) -> None:
        """Once every line is written."""
        await asyncio.to_thread(self._thread.shutdown)

    def _write(self, call: Logged) -> None:
        try:
            line = write_json(to_record(call), orjson.OPT_APPEND_NEWLINE)
            # Opened anew, so that the file may be moved away; one write, so that lines of several
            # processes do not mix.
            with self._path.open("ab", buffering=0) as file:
                file.write(line)
        except Exception:
            log.exception("the call %s is missing in the invocation log", call.request_id)
        finally:
            self._done += 1


def open_log(folder: Path | None) -> InvocationLog | None:
    """The log in this folder, which is made. Raises `ConfigError` if nothing can be written."""
    if folder is None:
        return None
    path = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.open("ab").close()
    except OSError as error:
        raise ConfigError(f"can't write to {path}: {error.strerror}") from error
    return InvocationLog(path)
