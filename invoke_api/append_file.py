"""Appends to a file that are whole or not there, on a full disk as well."""

import fcntl
import os
from contextlib import suppress
from io import FileIO
from pathlib import Path


def append_whole(path: Path, raw: bytes) -> None:
    """Append these bytes, all or none of them; processes that append at once take turns.

    Opened anew each time, so that the file may be moved away. Raises `OSError`.
    """
    with FileIO(path, "ab") as file:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        end = os.fstat(file.fileno()).st_size
        try:
            write_all(file, raw)
        except OSError:  # a part of it may be there, and what comes next would stand behind that
            if os.fstat(file.fileno()).st_size > end:  # or it has been emptied meanwhile
                file.truncate(end)
            raise


def write_all(file: FileIO, raw: bytes) -> None:
    """Raises `OSError`: a disk that gets full takes a part, and refuses the next write only."""
    rest = memoryview(raw)
    while rest:
        rest = rest[file.write(rest) :]
