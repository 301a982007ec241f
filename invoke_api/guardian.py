"""A small process beside the service, which ends it when it was told to end and cannot.

It runs this file alone, without the package. A call into C that holds the interpreter stops every
Python thread of the service, and its signal handlers, so help must come from another process.

The service writes a BEAT into a pipe while its event loop runs, and OVER when the loop has ended.
At a signal, `faulthandler` writes the stack of the thread that was running: in C, at once, whatever
the interpreter does. The end of the pipe is the end of the service.
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
MAX_STACK = 10_000  # bytes that are kept of what faulthandler writes


class Vigil:
    """What is known of the service. Pure: the caller passes the time, in seconds on one clock.

    After a signal the service may stand `still` for so many seconds, and take `total` in all.
    """

    def __init__(self, still: float, total: float) -> None:
        self._still = still
        self._total = total
        self._heard = 0.0  # the last beat
        self._signal: float | None = None
        self._is_over = False
        self.stack = b""

    def hear(self, data: bytes, now: float) -> None:
        """Note what the service has written."""
        if BEAT in data:
            self._heard = now
        self._is_over = self._is_over or OVER in data
        if stack := data.translate(None, BEAT + OVER):
            self._signal = now if self._signal is None else self._signal
            self.stack = (self.stack + stack)[:MAX_STACK]

    def verdict(self, now: float) -> str | None:
        """Say why the service is to be killed now; None if it is not."""
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
    """Watch until the service has ended, or end it."""
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
    """Guard this process, whose pipe is our standard input."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)

    def kill() -> None:
        with suppress(ProcessLookupError):
            os.kill(int(process), signal.SIGKILL)

    guard(sys.stdin.fileno(), Vigil(float(still), float(total)), kill)


if __name__ == "__main__":
    main(*sys.argv[1:])
