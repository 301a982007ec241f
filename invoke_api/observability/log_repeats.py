"""Suppression of repeated log lines: the first is passed on, later ones are counted."""

import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import NamedTuple

INTERVAL_SECONDS = 10.0  # between two lines with the number of repetitions
MAX_LINES_PER_KIND = 10  # different lines of a kind that are passed on in an interval
MAX_KINDS = 1_000  # that are remembered; each takes some hundred bytes
MAX_REMEMBERED_LINES = 10 * MAX_LINES_PER_KIND  # of one kind
MAX_MESSAGE_CHARACTERS = 1_000  # of a message; longer ones also get a hash
MAX_SHOWN_CHARACTERS = 200  # of a repeated line
NUMBERS = re.compile(r"0x[0-9a-fA-F]+|[0-9]+")  # addresses, ports and names of tasks


class LineKind(NamedTuple):
    """A group of lines that differ only in arguments. `place` is where an exception was raised."""

    logger: str
    level: int
    message: str
    error: type[BaseException] | None
    place: tuple[str, int] | None


@dataclass(slots=True)
class SeenLines:
    """The lines of one kind that were logged.

    `passed` has hashes of the lines that were passed on. `fresh` is their number in this interval.
    `suppressed` is the number of suppressed lines since the time `began`, in seconds. `last` is the
    last of these.
    """

    began: float
    passed: set[int] = field(default_factory=set)
    fresh: int = 0
    suppressed: int = 0
    last: logging.LogRecord | None = None


class RepeatFilter(logging.Handler):
    """A handler that passes each different line to `target` at once and counts repetitions.

    It also counts lines of one kind beyond `MAX_LINES_PER_KIND` in an interval. At the end of the
    interval it logs one line with the count. A kind that does not repeat for an interval is
    forgotten. Tracebacks from the same place are equal, whatever their message. A closed handler
    passes on all lines: the count needs a timer, and a process that ends can start none.
    """

    def __init__(
        self,
        target: logging.Handler,
        *,
        interval: float = INTERVAL_SECONDS,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__()
        self._target = target
        self._interval = interval
        self._clock = clock
        self._kinds: dict[LineKind, SeenLines] = {}
        self._timer: threading.Timer | None = None
        self._is_closed = False

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on or count a record. `logging` calls this with the handler's lock held."""
        try:
            is_new = self._is_closed or self._is_new(record)
        except Exception:  # noqa: BLE001 - invalid arguments: the target reports them
            is_new = True
        if is_new:
            self._target.handle(record)

    def report(self) -> None:
        """Log the number of repetitions of each kind whose interval is over."""
        with self._held():
            self._timer = None
            self._report_all(self._clock() - self._interval)
            if any(seen.suppressed for seen in self._kinds.values()):
                self._start_timer()

    def kinds(self) -> int:
        """Return the number of kinds of lines that are remembered."""
        return len(self._kinds)

    def close(self) -> None:
        """Log the remaining counts. `logging` calls this when the process ends."""
        with self._held():
            self._is_closed = True
            if self._timer:
                self._timer.cancel()
                self._timer = None
            self._report_all(self._clock())
        super().close()

    @contextmanager
    def _held(self) -> Iterator[None]:
        self.acquire()
        try:
            yield
        finally:
            self.release()

    def _is_new(self, record: logging.LogRecord) -> bool:
        now = self._clock()
        kind = to_kind(record)
        seen = self._kinds.get(kind)
        if seen is None:
            if len(self._kinds) >= MAX_KINDS:
                self._evict_oldest(now)
            seen = self._kinds[kind] = SeenLines(now)
        elif now - seen.began >= self._interval:
            self._report(seen, now)
            seen.began, seen.fresh = now, 0
        line = 0 if kind.error else hash(record.getMessage())
        if line in seen.passed or seen.fresh >= MAX_LINES_PER_KIND:
            seen.suppressed, seen.last = seen.suppressed + 1, record
            self._start_timer()
            return False
        if len(seen.passed) >= MAX_REMEMBERED_LINES:
            seen.passed.clear()
        seen.passed.add(line)
        seen.fresh += 1
        return True

    def _report_all(self, until: float) -> None:
        """Log counts of the kinds that began by `until`; forget kinds that did not repeat."""
        now = self._clock()
        for kind, seen in list(self._kinds.items()):
            if seen.began > until:
                continue
            if seen.suppressed:
                self._report(seen, now)
                seen.began, seen.fresh = now, 0
            else:
                del self._kinds[kind]

    def _report(self, seen: SeenLines, now: float) -> None:
        if not seen.suppressed or seen.last is None:
            return
        seconds = max(0.1, now - seen.began)
        self._target.handle(to_count(seen.last, seen.suppressed, seconds))
        seen.suppressed, seen.last = 0, None

    def _evict_oldest(self, now: float) -> None:
        """Forget the oldest kind, after logging its count."""
        kind = next(iter(self._kinds))
        self._report(self._kinds.pop(kind), now)

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(self._interval, self.report)
            self._timer.daemon = True
            self._timer.start()


def to_kind(record: logging.LogRecord) -> LineKind:
    """Return the kind of a record.

    Numbers are ignored, because messages may have been formatted before.
    """
    message = NUMBERS.sub("#", str(record.msg))
    if len(message) > MAX_MESSAGE_CHARACTERS:
        message = f"{message[:MAX_MESSAGE_CHARACTERS]}{hash(message)}"
    _, error, trace = record.exc_info or (None, None, None)
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = (trace.tb_frame.f_code.co_filename, trace.tb_lineno) if trace else None
    return LineKind(record.name, record.levelno, message, type(error) if error else None, place)


def to_count(last: logging.LogRecord, times: int, seconds: float) -> logging.LogRecord:
    """Return a record that reports `times` repetitions; its `repeated` holds the number."""
    text = last.getMessage().partition("\n")[0][:MAX_SHOWN_CHARACTERS]
    message = f"{text} … {times:,} {'time' if times == 1 else 'times'} more in {seconds:.2g} s"
    count = logging.LogRecord(
        last.name, last.levelno, last.pathname, last.lineno, "%s", (message,), None
    )
    count.repeated = times
    return count
