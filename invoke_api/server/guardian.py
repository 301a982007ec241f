"""A small process that kills the service if the service does not end after a signal.

It runs this file alone, without the package. A call into C that holds the interpreter lock stops
all Python threads and signal handlers of the service, so only another process can end it.

The service writes a BEAT into a pipe while its event loop runs, and LOOP_ENDED after the loop. At a
signal, `faulthandler` writes the stack of the running thread. It is written in C, so it works at
once, whatever the interpreter does. The pipe closes when the service ends.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from select import select

BEAT = b"\x01"
LOOP_ENDED = b"\x02"
CHECK_SECONDS = 0.2  # between two checks
KILL_MESSAGE = """\
Invoke API did not stop after the signal: {}. It is killed. Its stack at the signal:
{}
"""
MAX_STACK_BYTES = 10_000  # of faulthandler's output


class ShutdownMonitor:
    """Limits on the shutdown of the service. Pure: the caller passes the time, in seconds.

    After a signal, the event loop may be blocked for `max_blocked` seconds. The whole shutdown may
    take `max_total` seconds.
    """

    def __init__(self, max_blocked: float, max_total: float) -> None:
        self._max_blocked = max_blocked
        self._max_total = max_total
        self._last_beat = 0.0
        self._signal: float | None = None
        self._loop_ended = False
        self.stack = b""

    def receive(self, data: bytes, now: float) -> None:
        """Process the bytes that the service has written."""
        if BEAT in data:
            self._last_beat = now
        self._loop_ended = self._loop_ended or LOOP_ENDED in data
        if stack := data.translate(None, BEAT + LOOP_ENDED):
            self._signal = now if self._signal is None else self._signal
            self.stack = (self.stack + stack)[:MAX_STACK_BYTES]

    def reason_to_kill(self, now: float) -> str | None:
        """Return why the service must be killed now, or None."""
        if self._signal is None:
            return None
        if now - self._signal > self._max_total:
            return f"it still runs after {self._max_total:g} s"
        is_blocked = now - max(self._last_beat, self._signal) > self._max_blocked
        if is_blocked and not self._loop_ended:
            return f"its event loop has been blocked for {self._max_blocked:g} s"
        return None


def guard(
    pipe: int,
    monitor: ShutdownMonitor,
    kill: Callable[[], object],
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Watch the service until it ends; kill it if it exceeds its limits after a signal."""
    while True:
        if select([pipe], [], [], CHECK_SECONDS)[0]:
            data = os.read(pipe, 65_536)
            if not data:
                return
            monitor.receive(data, clock())
        if reason := monitor.reason_to_kill(clock()):
            stack = monitor.stack.decode(errors="replace").rstrip()
            sys.stderr.write(KILL_MESSAGE.format(reason, stack))
            sys.stderr.flush()
            kill()
            return


def main(process: str, max_blocked: str, max_total: str) -> None:
    """Guard the process with this id; standard input is the pipe from it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)

    def kill() -> None:
        with suppress(ProcessLookupError):
            os.kill(int(process), signal.SIGKILL)

    guard(sys.stdin.fileno(), ShutdownMonitor(float(max_blocked), float(max_total)), kill)


if __name__ == "__main__":
    main(*sys.argv[1:])
