"""Cleanup after killed processes that share memory, and of nothing else."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from engine.vllm import leftovers
from engine.vllm.leftovers import Leftovers
from engine.vllm.options import SOCKETS
from tests.support.waiting import until

SPAWN = get_context("spawn")  # as vLLM starts its cores here
SHARED = Path("/dev/shm")


def hold(line: Connection) -> None:
    """Share memory and a lock, and wait to be killed."""
    memory = SharedMemory(create=True, size=4_096)
    lock = SPAWN.Lock()
    line.send(memory.name)
    line.recv()
    del lock


def names() -> set[str]:
    return {each.name for each in SHARED.iterdir()}


class Holder:
    def __init__(self) -> None:
        ours, theirs = SPAWN.Pipe()
        self.process: BaseProcess = SPAWN.Process(target=hold, args=[theirs])
        self.process.start()
        self.line = ours  # kept open, because the other end waits on it
        assert ours.poll(30)
        ours.recv()
        maps = Path(f"/proc/{self.process.pid}/maps").read_text().splitlines()
        mapped = {line.split()[4] for line in maps if str(SHARED) in line}  # a lock has two names
        with os.scandir(SHARED) as entries:
            self.names = {each.name for each in entries if str(each.inode()) in mapped}

    def kill(self) -> None:
        self.process.kill()
        self.process.join()


@pytest.fixture
def holders() -> Iterator[list[Holder]]:
    made = [Holder(), Holder()]
    yield made
    for each in made:
        each.kill()
    found = Leftovers()
    found.sweep()


def test_shared_memory_and_locks_of_a_killed_process_are_removed(holders: list[Holder]) -> None:
    first, second = holders
    found = Leftovers()
    found.note()
    first.kill()
    assert first.names <= names(), "else there is nothing to remove"
    found.sweep()

    assert len(first.names) == 2
    assert not first.names & names()
    assert second.names <= names(), "it belongs to a process that lives"
    second.kill()
    found.sweep()
    assert not second.names & names()


def test_what_was_never_mapped_by_a_descendant_stays(holders: list[Holder]) -> None:
    stranger = SharedMemory(create=True, size=4_096)
    try:
        found = Leftovers()
        found.note()
        holders[0].kill()
        found.sweep()

        assert stranger.name in names()
    finally:
        stranger.close()
        stranger.unlink()
        found.sweep()


def test_noting_goes_on_while_an_engine_starts() -> None:
    found = Leftovers()
    with found.noting():
        late = Holder()
        until(lambda: late.names <= found.known())
        late.kill()
    found.sweep()

    assert not late.names & names()


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with TemporaryDirectory() as made:  # pytest's own paths are too long for a socket
        monkeypatch.setattr(leftovers, "_own_folder", lambda: Path(made))
        yield Path(made)


def test_sockets_that_nobody_has_bound_and_folders_of_the_dead_are_removed(folder: Path) -> None:
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(folder / "dead"))
    dead.close()
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    (folder / str(process.pid)).mkdir()
    (folder / str(os.getpid())).mkdir()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(folder / "bound"))
        Leftovers().sweep()

        assert {each.name for each in folder.iterdir()} == {"bound", str(os.getpid())}


SERVICE = """
from engine.vllm.leftovers import folder_for_sockets, remove_folder
folder = folder_for_sockets()
print(folder, flush=True)
if folder:
    (folder / "socket").touch()
    {end}
"""


@pytest.mark.parametrize("end", ["", "raise SystemExit(1)", "remove_folder(); raise SystemExit"])
def test_the_folder_ends_with_its_process(end: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SERVICE.format(end=end or "pass")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert leftovers.PREFIX in done.stdout
    assert not Path(done.stdout.strip()).exists()


CLAIM = """
import os, shutil
from engine.vllm.options import SOCKETS, claim_folder
inherited = os.environ.get(SOCKETS)
claim_folder()
first = os.environ[SOCKETS]
if first != inherited:
    shutil.rmtree(first)
claim_folder()
print(first == inherited, os.environ[SOCKETS] == first, os.path.isdir(first))
"""


@pytest.mark.parametrize(
    ("inherited", "kept"),
    [(None, False), (f"/nowhere/{leftovers.PREFIX}x", False), ("/dev/shm", True)],
    ids=["none", "a parent's", "an operator's"],
)
def test_a_process_has_a_folder_of_its_own_but_for_an_operators(
    inherited: str | None, *, kept: bool
) -> None:
    env = {name: value for name, value in os.environ.items() if name != SOCKETS}
    env |= {SOCKETS: inherited} if inherited else {}
    command = [sys.executable, "-c", CLAIM]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)

    assert done.stdout == f"{kept} True True\n"


def test_where_paths_would_be_too_long_there_is_none(tmp_path: Path) -> None:
    deep = tmp_path / ("long" * 20)
    deep.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", SERVICE.format(end="pass")],
        env={**os.environ, "TMPDIR": str(deep)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "None\n"
    assert list(deep.iterdir()) == []
