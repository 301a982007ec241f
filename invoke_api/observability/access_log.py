"""The access log: one line for each call that has ended. A thread formats and writes the lines."""

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from multiprocessing import current_process
from select import PIPE_BUF
from typing import NamedTuple

from invoke_api.observability.log_format import FIRST_PROCESS, rfc3339, to_json_text

log = logging.getLogger(__name__)

LOGGER = "invoke_api.access"
# Lines of this time are written together, which wakes the thread once.
FLUSH_SECONDS = 0.05
MAX_WAITING_LINES = 10_000  # they take some 4 MB
MAX_CHARACTERS = 256  # of a text that the client chooses, for example an id of a model
STANDARD_ERROR = 2


class AccessRecord(NamedTuple):
    """A call that has ended. Fields that have no value are None.

    `ended_at` is in seconds since the epoch. `key_id` is the id of the caller's key, which an
    unauthenticated call only claims. `model` is the registry's id, or the client's name for a model
    that was not found. `ended` tells how the call ended: `stop`, `length`, `repetition`, `ok`
    without tokens, `error`, `cancelled` or `cut`. Times are in milliseconds since the call began.
    """

    ended_at: float
    request_id: str
    key_id: str | None
    operation: str | None
    model: str | None
    status: int | None
    ended: str
    error: str | None
    input_tokens: int | None
    output_tokens: int | None
    first_token_ms: float | None
    total_ms: float
    engine: str | None


class AccessLog:
    """The lines of calls, in the order in which the calls end.

    Lines wait up to `FLUSH_SECONDS`, longer while standard error takes no data. Lines beyond
    `MAX_WAITING_LINES` are lost; their number is logged once writing works again. `worker` names
    one of several processes. `write` is for tests.
    """

    def __init__(
        self,
        log_format: str,
        worker: str | None = None,
        write: Callable[[bytes], None] | None = None,
    ) -> None:
        self._to_line = LINES[log_format]
        self._worker = worker
        self._write = write or _write_to_standard_error
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="access-log")
        self._waiting: list[AccessRecord] = []
        self._timer: asyncio.TimerHandle | None = None
        self._writing: Future[None] | None = None
        self._lost = 0

    def add(self, record: AccessRecord) -> None:
        """Queue a line. Call this in the event loop's thread."""
        if len(self._waiting) >= MAX_WAITING_LINES:
            self._lost += 1
            return
        self._waiting.append(record)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush)

    async def close(self) -> None:
        """Wait until all lines are written."""
        if self._timer:
            self._timer.cancel()
        self._thread.submit(self._write_all, self._waiting)
        self._waiting = []
        await asyncio.to_thread(self._thread.shutdown)
        self._report_losses()

    def _flush(self) -> None:
        if self._writing and not self._writing.done():  # standard error takes no data
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush)
            return
        self._timer = None
        self._report_losses()
        batch, self._waiting = self._waiting, []
        self._writing = self._thread.submit(self._write_all, batch)

    def _write_all(self, batch: Iterable[AccessRecord]) -> None:
        lines = (self._to_line(record, self._worker) for record in batch)
        for chunk in _whole_chunks(lines):
            try:
                self._write(chunk)
            except OSError:  # a closed pipe: there is no place to tell that
                return

    def _report_losses(self) -> None:
        if self._lost:
            log.warning("%d lines of the access log are lost: it was full", self._lost)
            self._lost = 0


def open_access_log(log_format: str) -> AccessLog:
    """Return the access log of this process."""
    name = current_process().name
    return AccessLog(log_format, None if name == FIRST_PROCESS else name)


def _whole_chunks(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Join lines to chunks of at most PIPE_BUF bytes, which a pipe takes whole.

    Longer writes of several workers to one pipe could mix (POSIX, write).
    """
    chunk = b""
    for line in lines:
        if chunk and len(chunk) + len(line) > PIPE_BUF:
            yield chunk
            chunk = b""
        chunk += line
    if chunk:
        yield chunk


def _write_to_standard_error(data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(STANDARD_ERROR, rest) :]


def _shorten(text: str | None) -> str | None:
    return text[:MAX_CHARACTERS] if text else text


def to_json_line(record: AccessRecord, worker: str | None) -> bytes:
    """Return a call as a JSON object with every field of `AccessRecord`."""
    ended_at, *_ = record
    entry = {
        "time": rfc3339(ended_at),
        "level": "info",
        "logger": LOGGER,
        "message": "call",
        **record._asdict(),
        "key_id": _shorten(record.key_id),
        "model": _shorten(record.model),
        "worker": worker,
    }
    del entry["ended_at"]
    return to_json_text(entry).encode() + b"\n"


def to_text_line(record: AccessRecord, worker: str | None) -> bytes:
    """Return a call as a line of text, without the fields that have no value."""
    time = datetime.fromtimestamp(record.ended_at).strftime("%H:%M:%S")  # noqa: DTZ006 - as the other lines
    head = (record.operation or "unknown operation", record.model, record.status, record.ended)
    named = {
        "error": record.error,
        "key": record.key_id,
        "in": record.input_tokens,
        "out": record.output_tokens,
        "first_ms": record.first_token_ms,
        "ms": record.total_ms,
        "engine": record.engine,
        "worker": worker,
        "id": record.request_id,
    }
    words = [*head, *(f"{name}={value}" for name, value in named.items() if value is not None)]
    told = (_printable(word) for word in words if word is not None)
    return f"{time} INFO    {' '.join(told)}\n".encode()


def _printable(word: object) -> str:
    """Return a word of a line of text. A client could otherwise write lines of its own."""
    text = str(word)[:MAX_CHARACTERS]
    return text if text.isprintable() else ascii(text)


LINES: Mapping[str, Callable[[AccessRecord, str | None], bytes]] = {
    "text": to_text_line,
    "json": to_json_line,
}
