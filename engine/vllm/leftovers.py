"""Cleanup of shared memory, semaphores and sockets that killed vLLM processes leave behind.

An orderly shutdown removes most of them. Python's resource tracker removes shared memory only when
this process ends, and a service that restarts its engines keeps running. So this file notes the
names while processes have them mapped, and removes them when all of those processes have ended.
It works on Linux only and notes nothing elsewhere.
"""

import atexit
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from multiprocessing import resource_tracker, shared_memory
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from engine.vllm.processes import is_running

if TYPE_CHECKING:
    import psutil

SHARED_FOLDER = Path("/dev/shm")  # noqa: S108 - Linux's own folder for them
# Names that Python generates for shared memory and semaphores.
SHARED_NAME = re.compile(r"psm_[0-9a-f]{8}|sem\.mp-\w{8}")
# Lines of /proc/PID/maps (proc(5)). Objects are matched by inode, because glibc creates a
# semaphore under another name.
MAPPED_INODE = re.compile(rf" (\d+) +{SHARED_FOLDER}/")
PREFIX = "invoke-vllm-"
MAX_FOLDER_CHARACTERS = 107 - 37  # a Unix socket's path (unix(7)), less "/" and a UUID
SCAN_SECONDS = 0.25  # between two scans while an engine starts, because it may end at any moment


class Leftovers:
    """Named shared objects of this process's descendants, with the processes that map them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users: dict[str, set[psutil.Process]] = {}

    def note(self) -> None:
        """Read which objects the descendants have mapped; takes some milliseconds."""
        import psutil  # vLLM needs it too

        mapped = {each: _mapped(each.pid) for each in psutil.Process().children(recursive=True)}
        for inode, name in _shared_objects():
            users = {process for process, inodes in mapped.items() if inode in inodes}
            if users:
                with self._lock:
                    self._users.setdefault(name, set()).update(users)

    def known(self) -> set[str]:
        with self._lock:
            return set(self._users)

    def sweep(self) -> None:
        """Remove the objects that no process has mapped any more."""
        self.note()
        with self._lock:
            unused = [
                name for name, users in self._users.items() if not any(map(is_running, users))
            ]
            for name in unused:
                del self._users[name]
        for name in unused:
            _remove(name)
        if (folder := _own_folder()) and folder.is_dir():
            _sweep_folder(folder)

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Call `note` in a thread every `SCAN_SECONDS` seconds while the context is open."""
        is_over = threading.Event()

        def scan() -> None:
            while not is_over.wait(SCAN_SECONDS):
                self.note()

        thread = threading.Thread(target=scan, daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()
            self.note()


LEFTOVERS = Leftovers()  # one per process: it covers all descendants


@cache
def folder_for_sockets() -> Path | None:
    """Return a new folder for vLLM's sockets, or None if paths in it would be too long."""
    folder = Path(mkdtemp(prefix=PREFIX))
    if len(str(folder)) > MAX_FOLDER_CHARACTERS:
        folder.rmdir()
        return None
    atexit.register(remove_folder, os.getpid())
    return folder


def remove_folder(owner: int | None = None) -> None:
    """Remove the folder for sockets, if this process is its `owner`.

    `owner` is the pid of the process that made it: a forked child must not remove it.
    """
    if (folder := _own_folder()) and owner in (None, os.getpid()):
        rmtree(folder, ignore_errors=True)


def _own_folder() -> Path | None:
    return folder_for_sockets() if folder_for_sockets.cache_info().currsize else None


def _mapped(pid: int) -> set[int]:
    """Return the inodes of the shared objects that process `pid` has mapped."""
    try:
        return set(map(int, MAPPED_INODE.findall(Path(f"/proc/{pid}/maps").read_text())))
    except OSError:  # the process has ended, or this is not Linux
        return set()


def _shared_objects() -> Iterator[tuple[int, str]]:
    """Yield inode and name of each object on this machine that Python may have made."""
    if SHARED_FOLDER.is_dir():
        with os.scandir(SHARED_FOLDER) as entries:
            yield from (
                (each.inode(), each.name) for each in entries if SHARED_NAME.fullmatch(each.name)
            )


def _remove(name: str) -> None:
    """Remove the object, and from the resource tracker that the descendants share."""
    with suppress(FileNotFoundError):
        if name.startswith("sem."):
            (SHARED_FOLDER / name).unlink()
            resource_tracker.unregister(f"/{name.removeprefix('sem.')}", "semaphore")
        else:
            memory = shared_memory.SharedMemory(name)
            memory.close()
            memory.unlink()


def _sweep_folder(folder: Path) -> None:
    """Remove sockets that no process has bound, and the folders of processes that have ended."""
    # List the sockets first, or one that is bound between the two reads would look unused.
    paths = list(folder.iterdir())
    try:
        bound = Path("/proc/net/unix").read_text()
    except OSError:
        return
    for path in paths:
        if path.is_socket() and str(path) not in bound:
            path.unlink(missing_ok=True)
        elif path.is_dir() and not Path(f"/proc/{path.name}").exists():
            rmtree(path, ignore_errors=True)
