"""Atomic appends to a file, also on a full disk."""

import fcntl
import os
from contextlib import suppress
from io import FileIO
from pathlib import Path


def append_whole(path: Path, raw: bytes) -> None:
    """Append all of these bytes or none. A lock serializes the appends of several processes.

    Opens the file each time, so that it may be rotated. Raises `OSError`.
    """
    with FileIO(path, "ab") as file:
        with suppress(OSError):  # the file system has no locks
            fcntl.flock(file, fcntl.LOCK_EX)
        end = os.fstat(file.fileno()).st_size
        try:
            write_all(file, raw)
        except OSError:  # remove a partial write
            if os.fstat(file.fileno()).st_size > end:  # otherwise it was truncated meanwhile
                file.truncate(end)
            raise


def write_all(file: FileIO, raw: bytes) -> None:
    """Write all bytes. A full disk accepts a part and fails at the next write: raises `OSError`."""
    rest = memoryview(raw)
    while rest:
        rest = rest[file.write(rest) :]
