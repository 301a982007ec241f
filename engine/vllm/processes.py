"""The processes of one engine: its cores and their workers."""

import multiprocessing
from collections.abc import Iterable
from contextlib import suppress
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from engine.vllm.pulse import ProcessSample

if TYPE_CHECKING:
    import psutil

POLL_SECONDS = 0.01
END_SECONDS = 10.0  # from SIGKILL to the end of a process, on a busy machine


class ProcessTree:
    """The cores of an engine and their current descendants, as psutil processes.

    `is_whole` is False if the engine has other processes, as on other machines.
    """

    def __init__(self, pids: Iterable[int | None] = (), *, is_whole: bool = True) -> None:
        import psutil  # vLLM needs it too

        self._is_whole = is_whole
        self._members: list[psutil.Process] = []
        for pid in pids:
            with suppress(psutil.NoSuchProcess):
                core = psutil.Process(pid)
                self._members += [core, *core.children(recursive=True)]

    def sample(self) -> ProcessSample:
        """Return the CPU time of the processes, and one that is stopped, if any.

        Blocks for some microseconds a process. Ended processes are left out: vLLM notices them.
        """
        import psutil

        cpu_seconds, stopped = 0.0, None
        for member in self._members:
            with suppress(psutil.NoSuchProcess), member.oneshot():
                times = member.cpu_times()
                cpu_seconds += times.user + times.system
                if member.status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP):
                    stopped = stopped or f"its process {member.pid} ({member.name()})"
        return ProcessSample(cpu_seconds if self._is_whole else None, stopped)

    def kill(self) -> None:
        """Kill the processes that still run. Only SIGKILL ends stopped ones."""
        import psutil

        for member in self._members:
            with suppress(psutil.NoSuchProcess):
                member.kill()

    def end(self) -> None:
        """Kill the processes, and wait until they have ended and use no shared memory any more.

        Blocks, for `END_SECONDS` at most. It leaves the exit statuses to multiprocessing.
        """
        self.kill()
        deadline = monotonic() + END_SECONDS
        while any(map(is_running, self._members)) and monotonic() < deadline:
            sleep(POLL_SECONDS)


def cores_of(manager: Any, parallel: Any) -> ProcessTree:  # noqa: ANN401 - vLLM's
    """Return the processes of vLLM's core manager; `parallel` is its `ParallelConfig`."""
    # Ray runs its workers as its own processes, and with `nnodes` other machines start theirs.
    is_whole = (
        parallel.data_parallel_size_local == parallel.data_parallel_size
        and not parallel.use_ray
        and getattr(parallel, "nnodes", 1) == 1
    )
    processes: list[multiprocessing.Process] = getattr(manager, "processes", [])
    return ProcessTree((each.pid for each in processes), is_whole=is_whole)


def kill_cores() -> None:
    """Kill all cores that this process has started, ready or not, with their workers."""
    ProcessTree(each.pid for each in multiprocessing.active_children()).kill()


def is_running(process: "psutil.Process") -> bool:
    """Tell whether a process has not ended. A zombie has, and uses no memory any more."""
    import psutil

    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
