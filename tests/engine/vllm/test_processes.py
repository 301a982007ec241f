"""Samples and kills of an engine's processes, on processes that only sleep."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from engine.vllm.processes import ProcessTree, cores_of, is_running
from engine.vllm.pulse import ProcessSample
from tests.support.waiting import until

# A parent with one child, both sleeping, like a core and its worker.
CORE = (
    "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
)


@pytest.fixture
def core() -> Iterator[psutil.Process]:
    with subprocess.Popen([sys.executable, "-c", CORE]) as process:
        made = psutil.Process(process.pid)
        until(lambda: len(made.children()) == 1)
        yield made
        for each in [*made.children(), made] if made.is_running() else []:
            each.kill()


def test_a_family_that_sleeps_is_neither_stopped_nor_busy(core: psutil.Process) -> None:
    tree = ProcessTree([core.pid])
    first = tree.sample()
    time.sleep(0.2)
    second = tree.sample()

    assert first.stopped is None
    assert first.cpu_seconds is not None
    assert second.cpu_seconds is not None
    assert 0 <= second.cpu_seconds - first.cpu_seconds < 0.2


def test_a_stopped_worker_is_named(core: psutil.Process) -> None:
    tree = ProcessTree([core.pid])
    [worker] = core.children()
    worker.send_signal(signal.SIGSTOP)
    until(lambda: tree.sample().stopped is not None)

    assert f"its process {worker.pid} (" in (tree.sample().stopped or "")


def test_all_are_killed_also_those_that_hear_no_other_signal(core: psutil.Process) -> None:
    tree = ProcessTree([core.pid])
    members = [core, *core.children()]
    for each in members:
        each.suspend()
    tree.kill()

    assert psutil.wait_procs(members, timeout=10)[1] == []
    tree.kill()  # no error


def test_the_end_of_all_is_waited_for_and_their_status_is_left(core: psutil.Process) -> None:
    tree = ProcessTree([core.pid])
    [worker] = core.children()
    tree.end()

    assert not is_running(core)
    assert not is_running(worker)
    assert core.status() == psutil.STATUS_ZOMBIE, "its parent may still ask how it ended"


HERE = SimpleNamespace(data_parallel_size=2, data_parallel_size_local=2, use_ray=False, nnodes=1)


@pytest.mark.parametrize(
    "elsewhere", [{"data_parallel_size_local": 1}, {"use_ray": True}, {"nnodes": 2}]
)
def test_what_runs_on_other_machines_can_not_be_seen_computing(
    core: psutil.Process, elsewhere: dict[str, Any]
) -> None:
    manager = SimpleNamespace(processes=[SimpleNamespace(pid=core.pid)])
    there = SimpleNamespace(**{**vars(HERE), **elsewhere})

    assert cores_of(manager, HERE).sample().cpu_seconds is not None
    assert cores_of(manager, there).sample().cpu_seconds is None
    assert cores_of(None, there).sample() == ProcessSample()
