"""vLLM still polls as `plugins/cpu_waiting.py` expects, and sleeps with the plugin."""

import inspect
import time

import pytest

from engine.vllm.plugins import cpu_waiting

pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("default")]


def test_who_waits_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    from vllm.distributed.device_communicators import shm_broadcast  # noqa: PLC0415 - takes long
    from vllm.platforms import current_platform  # noqa: PLC0415 - as above

    monkeypatch.setattr(type(current_platform), "is_cpu", lambda _: True)
    assert "sched_yield()" in inspect.getsource(shm_broadcast.SpinCondition.wait)
    monkeypatch.setattr(shm_broadcast, "sched_yield", None)
    cpu_waiting.register()
    began, worked = time.perf_counter(), time.process_time()
    for _ in range(1_000):
        shm_broadcast.sched_yield()

    assert time.perf_counter() - began >= 1_000 * cpu_waiting.PAUSE_SECONDS
    assert time.process_time() - worked < time.perf_counter() - began
