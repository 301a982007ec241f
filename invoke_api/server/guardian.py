"""A small process that kills the service if the service does not end after a signal.

It runs this file alone, without the package. A call into C that holds the interpreter lock stops
all Python threads and signal handlers of the service, so only another process can end it.

The service writes a BEAT into a pipe while its event loop runs, and OVER when the loop has ended.
At a signal, `faulthandler` writes the stack of the running thread. It is written in C, so it works
at once, whatever the interpreter does. The pipe closes when the service ends.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from select import select

BEAT = b"\x01"
OVER = b"\x02"
LOOK = 0.2  # seconds
KILLED = """\
Invoke API was told to end, and {}: it is killed. When the signal came it was here:
{}
"""
MAX_STACK = 10_000  # bytes of faulthandler's output that are kept


class Vigil:
    """State of the service. Pure: the caller passes the time, in seconds on one clock.

    After a signal, the event loop may be blocked for `still` seconds. The whole shutdown may take
    `total` seconds.
    """

    def __init__(self, still: float, total: float) -> None:
        self._still = still
        self._total = total
        self._heard = 0.0  # time of the last beat
        self._signal: float | None = None
        self._is_over = False
        self.stack = b""

    def hear(self, data: bytes, now: float) -> None:
        """Process the bytes that the service has written."""
        if BEAT in data:
            self._heard = now
        self._is_over = self._is_over or OVER in data
        if stack := data.translate(None, BEAT + OVER):
            self._signal = now if self._signal is None else self._signal
            self.stack = (self.stack + stack)[:MAX_STACK]

    def verdict(self, now: float) -> str | None:
        """Return why the service must be killed now, or None."""
        if self._signal is None:
            return None
        if now - self._signal > self._total:
            return f"it has not ended in {self._total:g} s"
        if not self._is_over and now - max(self._heard, self._signal) > self._still:
            return f"its event loop has stood still for {self._still:g} s since"
        return None


def guard(
    pipe: int,
    vigil: Vigil,
    kill: Callable[[], object],
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Watch the service until it ends; kill it if it exceeds its limits after a signal."""
    while True:
        if select([pipe], [], [], LOOK)[0]:
            data = os.read(pipe, 65_536)
            if not data:
                return
            vigil.hear(data, clock())
        if reason := vigil.verdict(clock()):
            stack = vigil.stack.decode(errors="replace").rstrip()
            sys.stderr.write(KILLED.format(reason, stack))
            sys.stderr.flush()
            kill()
            return


def main(process: str, still: str, total: str) -> None:
    """Guard the process with this id; standard input is the pipe from it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)

    def kill() -> None:
        with suppress(ProcessLookupError):
            os.kill(int(process), signal.SIGKILL)

    guard(sys.stdin.fileno(), Vigil(float(still), float(total)), kill)


if __name__ == "__main__":
    main(*sys.argv[1:])
