"""Sleep instead of busy-waiting between vLLM's processes when the model runs on the CPU.

vLLM (0.32) polls for a second after each message, with `sched_yield` in between. That takes whole
CPU cores from the model. On Linux 6.18 two polling processes kept all other processes of a machine
of two cores, the front end included, from running during an answer, once for 37 s.
`engine.vllm.plugins` calls `register` in each process of vLLM.
"""

import time

PAUSE_SECONDS = 20e-6  # the kernel adds 50 µs


def register() -> None:
    """Replace `sched_yield` by a sleep if the model runs on the CPU."""
    from vllm.distributed.device_communicators import shm_broadcast
    from vllm.platforms import current_platform

    if current_platform.is_cpu():
        shm_broadcast.sched_yield = _pause


def _pause() -> None:
    time.sleep(PAUSE_SECONDS)
