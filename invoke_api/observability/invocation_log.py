"""The file of the invocation log, a line for each call, written by a thread of its own."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Lock

import orjson

from invoke_api.append_file import append_whole
from invoke_api.observability.log_record import Logged, to_record
from invoke_api.wire.json_text import write_json
from invoke_api.yaml_files import ConfigError

log = logging.getLogger(__name__)

MOST_WAITING = 1_000  # calls whose lines are still to be written
STUCK = f"{MOST_WAITING} others wait to be written"
FILE = "modelinvocations.jsonl"  # as the log stream in CloudWatch is called


class InvocationLog:
    """The log of invocations, with whole lines in the order in which calls end.

    A line that can't be written is lost. The first loss is logged at once, and the number of lost
    lines once writing works again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="invocation-log")
        self._added = self._done = 0  # the latter counts in the thread
        self._lost = 0
        self._lock = Lock()

    def add(self, call: Logged) -> None:
        """Returns at once: a thread makes the line and writes it."""
        if self.waiting() >= MOST_WAITING:  # the disk hangs, and bodies take much memory
            self._lose(call, STUCK)
            return
        self._added += 1
        with suppress(RuntimeError):  # closed: a call that outlives the service has no line
            self._thread.submit(self._write, call)

    async def close(self) -> None:
        """Once every line is written."""
        await asyncio.to_thread(self._thread.shutdown)
        if self._lost:
            log.error("%d calls are missing in the invocation log", self._lost)

    def waiting(self) -> int:
        """Return the number of calls whose lines are not written yet."""
        return self._added - self._done

    def _write(self, call: Logged) -> None:
        try:
            line = write_json(to_record(call), orjson.OPT_APPEND_NEWLINE)
            append_whole(self._path, line)
        except OSError as error:
            self._lose(call, error.strerror or str(error))
        except Exception:
            log.exception("the call %s is missing in the invocation log", call.request_id)
        else:
            self._find_again()
        finally:
            self._done += 1

    def _lose(self, call: Logged, reason: str) -> None:
        with self._lock:
            self._lost += 1
            is_first = self._lost == 1
        if is_first:
            text = "the call %s is missing in the invocation log, and later ones may be: %s: %s"
            log.error(text, call.request_id, self._path, reason)

    def _find_again(self) -> None:
        """Log the number of lost lines after a successful write, once the queue is short."""
        if not self._lost or self.waiting() > MOST_WAITING // 2:
            return
        with self._lock:
            lost, self._lost = self._lost, 0
        log.warning("the invocation log is written again; %d calls are missing in it", lost)


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
