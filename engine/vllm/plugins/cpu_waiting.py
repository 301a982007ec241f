"""How vLLM's processes wait for each other where the cores that they wait on are the model's too.

vLLM (0.32) has them ask again and again for a second after each message, with `sched_yield` in
between. On a CPU that takes whole cores from the model, and worse: on Linux 6.18, where who yields
gives up a slice, two that yield kept all other processes of a machine of two cores, the front end
among them, from running for as long as an answer took, 37 s once. Here they sleep in between.
`vllm_plugins` calls `register` in each process of vLLM's.
"""

import time

PAUSE = 20e-6  # seconds; the kernel adds its own 50


def register() -> None:
    """Have them sleep, if the model runs on the CPU."""
    from vllm.distributed.device_communicators import shm_broadcast
    from vllm.platforms import current_platform

    if current_platform.is_cpu():
        shm_broadcast.sched_yield = _pause


def _pause() -> None:
    time.sleep(PAUSE)
