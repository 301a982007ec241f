"""The processes of one engine: its cores, and the workers that they have started."""

import multiprocessing
from collections.abc import Iterable
from contextlib import suppress

from engine.pulse import Sighting


class Family:
    """Cores by their pids, with all their descendants of this moment; in psutil's words."""

    def __init__(self, pids: Iterable[int | None] = ()) -> None:
        import psutil  # vLLM needs it too

        self._members: list[psutil.Process] = []
        for pid in pids:
            with suppress(psutil.NoSuchProcess):
                core = psutil.Process(pid)
                self._members += [core, *core.children(recursive=True)]

    def look(self) -> Sighting:
        """Blocks for some microseconds a process. Who has ended is left out: vLLM notices that."""
        import psutil

        cpu_seconds, stopped = 0.0, None
        for member in self._members:
            with suppress(psutil.NoSuchProcess), member.oneshot():
                times = member.cpu_times()
                cpu_seconds += times.user + times.system
                if member.status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP):
                    stopped = stopped or f"its process {member.pid} ({member.name()})"
        return Sighting(cpu_seconds if self._members else None, stopped)

    def kill(self) -> None:
        """Those that still run, also where they are stopped and hear no other signal."""
        import psutil

        for member in self._members:
            with suppress(psutil.NoSuchProcess):
                member.kill()


def cores_of(manager: object) -> Family:
    """The family of vLLM's manager of core processes. Empty if they run on other machines."""
    processes: list[multiprocessing.Process] = getattr(manager, "processes", [])
    return Family(each.pid for each in processes)


def kill_cores() -> None:
    """All cores that this process has started, ready or not, with their workers."""
    Family(each.pid for each in multiprocessing.active_children()).kill()
