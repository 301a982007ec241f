"""A lock file that says which process writes in a place."""

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from weakref import finalize


class PlaceTaken(OSError):
    """Another process writes there; `strerror` names it."""


class PlaceLock:
    """Held until it is released or nobody needs it any more; a killed process holds none.

    Raises `PlaceTaken`, and other `OSError`s if there can be no lock.
    """

    def __init__(self, path: Path) -> None:
        self.release = finalize(self, _release, path, _take(path))


def _take(path: Path) -> int:
    """A descriptor of the file, which is locked and holds the number of this process."""
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(lock)
            if _is_there(path, lock):
                os.ftruncate(lock, 0)
                os.pwrite(lock, str(os.getpid()).encode(), 0)
                return lock
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)  # of one that has just been released, and is gone


def _lock(lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        number = os.pread(lock, 20, 0).decode("ascii", errors="replace")
        named = f"process {number}" if number.isdecimal() else "another process"
        raise PlaceTaken(errno.EBUSY, f"{named} is recording there") from None


def _is_there(path: Path, lock: int) -> bool:
    """Whether the path still leads to the file that is open."""
    try:
        return os.path.samestat(path.stat(), os.fstat(lock))
    except FileNotFoundError:
        return False


def _release(path: Path, lock: int) -> None:
    with suppress(OSError):
        path.unlink()
    os.close(lock)
