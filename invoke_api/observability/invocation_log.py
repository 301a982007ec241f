"""The invocation log, a file with one line per call. A thread writes it."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Lock

import orjson

from invoke_api.append_file import append_whole
from invoke_api.observability.log_record import LoggedCall, to_record
from invoke_api.wire.json_text import write_json
from invoke_api.yaml_files import ConfigError

log = logging.getLogger(__name__)

MAX_WAITING_LINES = 1_000  # lines in the queue
QUEUE_FULL = f"the queue of {MAX_WAITING_LINES} lines is full"
FILE_NAME = "modelinvocations.jsonl"  # the name of the log stream in CloudWatch


class InvocationLog:
    """The invocation log, with one line per call in the order in which calls end.

    A line that can't be written is lost. The first loss is logged at once. The number of lost lines
    is logged once writing works again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="invocation-log")
        self._added = self._done = 0  # `_done` is changed by the thread
        self._lost = 0
        self._lock = Lock()

    def add(self, call: LoggedCall) -> None:
        """Queue a call for the thread, which formats and writes its line."""
        if self.waiting() >= MAX_WAITING_LINES:  # the disk stalls; bodies take memory
            self._lose(call, QUEUE_FULL)
            return
        self._added += 1
        with suppress(RuntimeError):  # a call that ends after `close` has no line
            self._thread.submit(self._write, call)

    async def close(self) -> None:
        """Wait until all lines are written."""
        await asyncio.to_thread(self._thread.shutdown)
        if self._lost:
            log.error("%d calls are missing in the invocation log", self._lost)

    def waiting(self) -> int:
        """Return the number of lines in the queue."""
        return self._added - self._done

    def _write(self, call: LoggedCall) -> None:
        try:
            line = write_json(to_record(call), orjson.OPT_APPEND_NEWLINE)
            append_whole(self._path, line)
        except OSError as error:
            self._lose(call, error.strerror or str(error))
        except Exception:
            log.exception("the call %s is missing in the invocation log", call.request_id)
        else:
            self._report_losses()
        finally:
            self._done += 1

    def _lose(self, call: LoggedCall, reason: str) -> None:
        with self._lock:
            self._lost += 1
            is_first = self._lost == 1
        if is_first:
            text = (
                "the call %s is missing in the invocation log, and later ones may be, too: %s: %s"
            )
            log.error(text, call.request_id, self._path, reason)

    def _report_losses(self) -> None:
        """Log the number of lost lines once the queue is short again."""
        if not self._lost or self.waiting() > MAX_WAITING_LINES // 2:
            return
        with self._lock:
            lost, self._lost = self._lost, 0
        log.warning("the invocation log is written again; %d calls are missing in it", lost)


def open_log(folder: Path | None) -> InvocationLog | None:
    """Create the folder and open its log. Raises `ConfigError` if it can't be written."""
    if folder is None:
        return None
    path = folder / FILE_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.open("ab").close()
    except OSError as error:
        raise ConfigError(f"can't write to {path}: {error.strerror}") from error
    return InvocationLog(path)
