"""A thread that detects a blocked event loop, and a guardian process that ends the service.

While the loop is blocked, requests are not answered and asyncio handles no signals. The thread logs
the stack of the loop once, to show the cause. After a signal the guardian, a separate
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

BEAT_SECONDS = 0.5  # between two beats of the loop
CHECK_SECONDS = 0.5  # between two checks by the thread
BLOCKED_LOG_SECONDS = 5.0  # without a beat until the stack is logged
LOST_TIME_SECONDS = 2.0  # delay of the thread which shows that the process did not run
BLOCKED_KILL_SECONDS = 10.0  # without a beat, after a signal, until the service is killed
SHUTDOWN_MARGIN_SECONDS = 15.0  # for engines and threads, after the grace period of calls

BLOCKED = (
    "The event loop has been blocked for %.1f s: requests are not answered, and only the guardian"
    " handles signals. Stack of its thread:\n%s"
)
UNBLOCKED = "The event loop runs again after %.1f s"
LOST_TIME = (
    "This process did not run for %.1f s: it was stopped or suspended, or a call into C held the"
    " interpreter lock"
)


class BlockDetector:
    """Detector of a blocked loop. Pure: the caller passes the time and the count of beats."""

    def __init__(self, now: float) -> None:
        self._beats = 0
        self._last_beat = self._last_check = now
        self._is_logged = False

    def check(self, beats: int, now: float) -> tuple[str, float] | None:
        """Return the line to log, with its seconds; None if there is nothing to log."""
        lost, self._last_check = now - self._last_check - CHECK_SECONDS, now
        if lost > LOST_TIME_SECONDS:  # the whole process was suspended, not the loop alone
            self._last_beat += lost
        blocked = now - self._last_beat
        if beats != self._beats:
            was_logged, self._is_logged = self._is_logged, False
            self._beats, self._last_beat = beats, now
            if was_logged:
                return UNBLOCKED, blocked
        elif blocked >= BLOCKED_LOG_SECONDS and not self._is_logged:
            self._is_logged = True
            return BLOCKED, blocked
        return (LOST_TIME, lost) if lost > LOST_TIME_SECONDS else None


class Watchdog:
    """The watchdog of one loop. Start and stop it in the loop's thread.

    `seconds` is the time limit of the shutdown, from the first of `signals`. Without signals there
    is no guardian: the first process kills its workers.
    """

    def __init__(self, signals: Sequence[signal.Signals] = (), seconds: float = 0.0) -> None:
        self._signals = signals
        self._seconds = seconds
        self._beats = 0
        self._ended = threading.Event()
        self._send: Callable[[bytes], object] = lambda _: None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start watching. Install signal handlers before; they stay in force."""
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
        self._send(guardian.LOOP_ENDED)
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        self._beats += 1
        self._send(guardian.BEAT)
        self._timer = self._loop.call_later(BEAT_SECONDS, self._beat)

    def _watch(self, loop_thread: int) -> None:
        detector = BlockDetector(monotonic())
        while not self._ended.wait(CHECK_SECONDS):
            found = detector.check(self._beats, monotonic())
            if found and found[0] == BLOCKED:
                log.error(BLOCKED, found[1], _stack_of(loop_thread))
            elif found:
                log.warning(*found)

    def _start_guardian(self) -> None:
        theirs, ours = os.pipe()
        os.set_blocking(ours, False)
        bounds = [str(BLOCKED_KILL_SECONDS), str(self._seconds)]
        try:
            # In its own session, because Ctrl-C reaches all processes of this one.
            self._guardian = subprocess.Popen(  # noqa: S603 - our own file
                [sys.executable, "-I", "-S", guardian.__file__, str(os.getpid()), *bounds],
                stdin=theirs,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            log.warning("The guardian process can't be started: %s", error)
            os.close(ours)
            return
        finally:
            os.close(theirs)
        self._send = lambda data: _write(ours, data)
        for number in self._signals:
            faulthandler.register(number, ours, all_threads=False, chain=True)
        os.register_at_fork(after_in_child=self._leave_to_parent)

    def _leave_to_parent(self) -> None:
        """Unregister in a forked child, so that its signals are not reported as ours."""
        for number in self._signals:
            faulthandler.unregister(number)


def _write(pipe: int, data: bytes) -> None:
    with suppress(OSError):  # full, or the guardian was killed
        os.write(pipe, data)


def _stack_of(thread: int) -> str:
    frame = sys._current_frames().get(thread)  # noqa: SLF001 - documented
    return "".join(traceback.format_stack(frame)) if frame else "(it has ended)"
