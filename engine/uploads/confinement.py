"""What a worker does to itself before it reads anything: limits, and an end that is not its own."""

import fcntl
import os
import resource
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path

MOST_FILES = 64  # open files: its pipes, and modules that are imported
NICENESS = 5  # so that answering goes before reading
STATM = Path("/proc/self/statm")


def end_with(lifeline: int) -> None:
    """Have the kernel kill this process once the other end of this pipe is closed.

    That is the case when the service has ended, however it has. A thread that waits for it would
    wait for the interpreter, too, which a library in C may hold on to.
    """
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    if hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
    # Without F_SETSIG it is SIGIO, which ends a process too. O_ASYNC is FASYNC by another name.
    flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | fcntl.FASYNC)
    poll = select.poll()
    poll.register(lifeline, select.POLLIN)
    if poll.poll(0):  # it was closed before anybody listened
        sys.exit()


def confine() -> None:
    """Set the limits that are the same for all uploads; they can't be raised again."""
    # Ctrl-C and `kill` of the group are the service's to answer; calls under way have their grace.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # a reader writes no files
    resource.setrlimit(resource.RLIMIT_NOFILE, (MOST_FILES, MOST_FILES))


def allow(cpu_seconds: int, memory: int) -> None:
    """Set the limits of the next upload, on top of what has been used by now."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + 1 + cpu_seconds
    _set_soft(resource.RLIMIT_CPU, seconds)
    with suppress(OSError):  # where there is no /proc, there is no limit of memory
        _set_soft(resource.RLIMIT_AS, _pages(0) + memory)


def lift() -> None:
    """Take back the limit of memory until the next upload."""
    _set_soft(resource.RLIMIT_AS, resource.RLIM_INFINITY)


def resident() -> int:
    """Return how many bytes of memory this process has; 0 where that can't be told."""
    try:
        return _pages(1)
    except OSError:
        return 0


def _pages(column: int) -> int:
    """Return a figure of `/proc/self/statm`, in bytes."""
    return int(STATM.read_text().split()[column]) * resource.getpagesize()


def _set_soft(kind: int, wanted: int) -> None:
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        wanted = hard if wanted == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(kind, (wanted, hard))
