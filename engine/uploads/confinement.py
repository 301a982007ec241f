"""Resource limits that a worker process sets for itself, and its end with the service."""

import fcntl
import os
import resource
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path

MAX_OPEN_FILES = 64  # pipes, and modules while they are imported
NICENESS = 5  # the service has priority over its workers
STATM = Path("/proc/self/statm")


def end_with(lifeline: int) -> None:
    """Have the kernel kill this process once the other end of this pipe is closed.

    The pipe closes whenever the service ends, even if it is killed. A thread that waits for this
    would need the interpreter lock, which a library in C may hold.
    """
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    if hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
    # Without F_SETSIG the signal is SIGIO, which ends a process too. O_ASYNC and FASYNC are the
    # same flag.
    flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | fcntl.FASYNC)
    poll = select.poll()
    poll.register(lifeline, select.POLLIN)
    if poll.poll(0):  # the service ended before the signal was set up
        sys.exit()


def confine() -> None:
    """Set the hard limits that are the same for all uploads."""
    # The service handles Ctrl-C and signals to the group: in-flight calls have a grace period.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # a worker writes no files
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_OPEN_FILES, MAX_OPEN_FILES))


def limit_upload(cpu_seconds: int, memory: int) -> None:
    """Set the limits of the next upload, on top of the CPU time and memory used so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + 1 + cpu_seconds
    _set_soft(resource.RLIMIT_CPU, seconds)
    with suppress(OSError):  # without /proc memory is not limited
        _set_soft(resource.RLIMIT_AS, _pages(0) + memory)


def lift_memory_limit() -> None:
    """Remove the memory limit until the next upload."""
    _set_soft(resource.RLIMIT_AS, resource.RLIM_INFINITY)


def resident_bytes() -> int:
    """Return the resident memory of this process in bytes; 0 if it is unknown."""
    try:
        return _pages(1)
    except OSError:
        return 0


def _pages(column: int) -> int:
    """Return a column of `/proc/self/statm`, in bytes."""
    return int(STATM.read_text().split()[column]) * resource.getpagesize()


def _set_soft(kind: int, wanted: int) -> None:
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        wanted = hard if wanted == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(kind, (wanted, hard))
