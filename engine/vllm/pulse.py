"""Detection of engine cores that hang. Pure; the caller passes one sighting after another.

A core that computes one long step does not answer either, so silence alone is not enough.
"""

from dataclasses import dataclass

from engine.protocol import Limits

# A core whose processes use less than this share of one CPU computes nothing. Measured: a
# stopped core and its idle worker use 0.012 (vLLM 0.32 on a CPU); a step that computes uses 1.
BUSY = 0.1


@dataclass(frozen=True, slots=True)
class Sighting:
    """State of an engine's processes at one moment.

    `cpu_seconds` is their CPU time so far, or None if some run on other machines, where it can't be
    read. `stopped` names a process that a signal or a debugger has stopped.
    """

    cpu_seconds: float | None = None
    stopped: str | None = None


class Pulse:
    """Recent activity of one engine core. Times are in seconds.

    The caller passes the time since its last sighting, and caps it if the caller itself could not
    run: a machine that was suspended must not make a healthy core look dead.
    """

    def __init__(self, limits: Limits) -> None:
        self._patience = limits.stall_seconds
        # After this time the calls have failed, whatever the core computes.
        self._longest_step = max(limits.stall_seconds, limits.first_token_seconds)
        self._stopped = self._silent = self._idle = 0.0
        self._cpu_seconds: float | None = None

    def judge(self, elapsed: float, sighting: Sighting, *, is_silent: bool) -> str | None:
        """Return why the core hangs, or None. `is_silent`: it owes an answer to a request."""
        self._stopped = self._stopped + elapsed if sighting.stopped else 0.0
        # Machines that lose the network for a while answer late, and can't be replaced from here.
        is_silent = is_silent and sighting.cpu_seconds is not None
        self._silent = self._silent + elapsed if is_silent else 0.0
        is_idle = is_silent and self._used_no_cpu(elapsed, sighting.cpu_seconds)
        self._idle = self._idle + elapsed if is_idle else 0.0
        if self._stopped >= self._patience:
            return f"{sighting.stopped} has been stopped for {self._stopped:.0f} s"
        if self._idle >= self._patience:
            return f"it answers nothing and computes nothing for {self._idle:.0f} s"
        if self._silent >= self._longest_step:
            return f"it answers nothing for {self._silent:.0f} s"
        return None

    def _used_no_cpu(self, elapsed: float, cpu_seconds: float | None) -> bool:
        before, self._cpu_seconds = self._cpu_seconds, cpu_seconds
        if before is None or cpu_seconds is None:
            return False
        return cpu_seconds - before < BUSY * elapsed
