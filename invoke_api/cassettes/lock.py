"""A lock file that holds the id of the process that records to a folder or file."""

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from weakref import finalize


class LockHeld(OSError):
    """An `OSError` if another process holds the lock. `strerror` names the process."""


class RecordingLock:
    """A file lock that ends with `release`, garbage collection or the end of the process.

    Raises `LockHeld`, and other `OSError`s if the lock file can't be created.
    """

    def __init__(self, path: Path) -> None:
        self.release = finalize(self, _release, path, _take(path))


def _take(path: Path) -> int:
    """Lock the file, write this process's id into it, and return its descriptor."""
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(lock)
            if _names_open_file(path, lock):
                os.ftruncate(lock, 0)
                os.pwrite(lock, str(os.getpid()).encode(), 0)
                return lock
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)  # another process has just removed the file


def _lock(lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        number = os.pread(lock, 20, 0).decode("ascii", errors="replace")
        named = f"process {number}" if number.isdecimal() else "another process"
        raise LockHeld(errno.EBUSY, f"{named} is recording there") from None


def _names_open_file(path: Path, lock: int) -> bool:
    """Tell whether the path still names the open file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(lock))
    except FileNotFoundError:
        return False


def _release(path: Path, lock: int) -> None:
    with suppress(OSError):
        path.unlink()
    os.close(lock)
