"""Detection of engine cores that hang. Pure; the caller passes samples of their processes.

A core that computes one long step does not answer either, so silence alone is not enough.
"""

from dataclasses import dataclass

from engine.protocol import EngineLimits

# A core whose processes use less than this share of one CPU computes nothing. Measured: a
# stopped core and its idle worker use 0.012 (vLLM 0.32 on a CPU); a step that computes uses 1.
MIN_BUSY_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class ProcessSample:
    """State of an engine's processes at one moment.

    `cpu_seconds` is their CPU time so far, or None if some run on other machines, where it can't be
    read. `stopped` names a process that a signal or a debugger has stopped.
    """

    cpu_seconds: float | None = None
    stopped: str | None = None


class HangDetector:
    """A detector with the recent activity of one engine core. Times are in seconds.

    The caller passes the time since the last sample, and caps it in case the caller itself could
    not run: after a suspension of the machine, a healthy core must not look dead.
    """

    def __init__(self, limits: EngineLimits) -> None:
        self._stall_seconds = limits.stall_seconds
        # After this time the calls have failed, whatever the core computes.
        self._longest_step = max(limits.stall_seconds, limits.first_token_seconds)
        self._stopped = self._silent = self._idle = 0.0
        self._cpu_seconds: float | None = None

    def judge(self, elapsed: float, sample: ProcessSample, *, is_silent: bool) -> str | None:
        """Return why the core hangs, or None. `is_silent` tells that it has not answered yet."""
        self._stopped = self._stopped + elapsed if sample.stopped else 0.0
        # Machines that lose the network for a while answer late, and can't be replaced from here.
        is_silent = is_silent and sample.cpu_seconds is not None
        self._silent = self._silent + elapsed if is_silent else 0.0
        is_idle = is_silent and self._used_no_cpu(elapsed, sample.cpu_seconds)
        self._idle = self._idle + elapsed if is_idle else 0.0
        if self._stopped >= self._stall_seconds:
            return f"{sample.stopped} has been stopped for {self._stopped:.0f} s"
        if self._idle >= self._stall_seconds:
            return f"it has neither answered nor computed for {self._idle:.0f} s"
        if self._silent >= self._longest_step:
            return f"it has not answered for {self._silent:.0f} s"
        return None

    def _used_no_cpu(self, elapsed: float, cpu_seconds: float | None) -> bool:
        before, self._cpu_seconds = self._cpu_seconds, cpu_seconds
        if before is None or cpu_seconds is None:
            return False
        return cpu_seconds - before < MIN_BUSY_SHARE * elapsed
