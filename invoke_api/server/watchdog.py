"""A thread that detects a blocked event loop, and a guardian that ends the service.

While the loop is blocked, requests are not answered and asyncio handles no signals. The thread logs
the stack of the loop, once, so that the cause can be found. After a signal the guardian, a separate
process (`guardian.py`), gives the service a limited time.
"""

import asyncio
import faulthandler
import logging
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic

from invoke_api.server import guardian

log = logging.getLogger(__name__)

BEAT_SECONDS = 0.5  # seconds between two beats of the loop
LOOK_SECONDS = 0.5  # seconds between two checks by the thread
STILL_SECONDS = 5.0  # seconds without a beat until the stack is logged
LOST_SECONDS = 2.0  # delay of the thread itself that shows that the process did not run
END_STILL_SECONDS = 10.0  # seconds that the loop may be blocked after a signal
END_SECONDS = 15.0  # seconds for engines and threads to end, beyond the grace period of calls

STILL = (
    "The event loop has stood still for %.1f s: no client is answered meanwhile, and a signal to"
    " end is heard by the guardian only. Its thread is here:\n%s"
)
RUNS_AGAIN = "The event loop runs again after %.1f s"
LOST = (
    "This process has lost %.1f s: it was stopped or suspended, or one call into C held the"
    " interpreter"
)


class Standstill:
    """Detector of a blocked loop. Pure: the caller passes the time and the count of beats."""

    def __init__(self, now: float) -> None:
        self._beats = 0
        self._since = self._looked = now
        self._is_told = False

    def look(self, beats: int, now: float) -> tuple[str, float] | None:
        """Return the line to log, with its seconds; None if there is nothing to log."""
        lost, self._looked = now - self._looked - LOOK_SECONDS, now
        if lost > LOST_SECONDS:  # the whole process was suspended, so the loop is not to blame
            self._since += lost
        still = now - self._since
        if beats != self._beats:
            was_told, self._is_told = self._is_told, False
            self._beats, self._since = beats, now
            if was_told:
                return RUNS_AGAIN, still
        elif still >= STILL_SECONDS and not self._is_told:
            self._is_told = True
            return STILL, still
        return (LOST, lost) if lost > LOST_SECONDS else None


class Watchdog:
    """The watchdog of one loop; start and stop it in the loop's thread.

    `seconds` is the time limit of the shutdown, from the first of `signals`. Without signals there
    is no guardian: the first process kills its workers itself.
    """

    def __init__(self, signals: Sequence[signal.Signals] = (), seconds: float = 0.0) -> None:
        self._signals = signals
        self._seconds = seconds
        self._beats = 0
        self._ended = threading.Event()
        self._tell: Callable[[bytes], object] = lambda _: None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start watching. Install signal handlers before; they are still called."""
        if self._signals:
            self._start_guardian()
        self._loop = loop
        self._beat()
        self._thread = threading.Thread(
            target=self._watch, args=[threading.get_ident()], name="watchdog", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop watching the loop; the guardian stays until this process has ended."""
        self._timer.cancel()
        self._tell(guardian.OVER)
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        self._beats += 1
        self._tell(guardian.BEAT)
        self._timer = self._loop.call_later(BEAT_SECONDS, self._beat)

    def _watch(self, loop_thread: int) -> None:
        standstill = Standstill(monotonic())
        while not self._ended.wait(LOOK_SECONDS):
            found = standstill.look(self._beats, monotonic())
            if found and found[0] == STILL:
                log.error(STILL, found[1], _stack_of(loop_thread))
            elif found:
                log.warning(*found)

    def _start_guardian(self) -> None:
        theirs, ours = os.pipe()
        os.set_blocking(ours, False)
        bounds = [str(END_STILL_SECONDS), str(self._seconds)]
        try:
            # In its own session, because Ctrl-C reaches all processes of this one.
            self._guardian = subprocess.Popen(  # noqa: S603 - our own file
                [sys.executable, "-I", "-S", guardian.__file__, str(os.getpid()), *bounds],
                stdin=theirs,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            log.warning("No guardian, for it can't be started: %s", error)
            os.close(ours)
            return
        finally:
            os.close(theirs)
        self._tell = lambda data: _write(ours, data)
        for number in self._signals:
            faulthandler.register(number, ours, all_threads=False, chain=True)
        os.register_at_fork(after_in_child=self._leave_to_parent)

    def _leave_to_parent(self) -> None:
        """Unregister in a forked child, so that its signals are not reported as ours."""
        for number in self._signals:
            faulthandler.unregister(number)


def _write(pipe: int, data: bytes) -> None:
    with suppress(OSError):  # the pipe is full, or the guardian was killed
        os.write(pipe, data)


def _stack_of(thread: int) -> str:
    frame = sys._current_frames().get(thread)  # noqa: SLF001 - documented, and there is no other way
    return "".join(traceback.format_stack(frame)) if frame else "(it has ended)"
