"""Health checks of a core, on a substitute for vLLM."""

import asyncio
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

from engine.protocol import EngineLimits
from engine.vllm import health_check
from engine.vllm.health_check import HealthCheck, until_hung
from engine.vllm.pulse import ProcessSample
from tests.support.waiting import until_in_loop

IDLE = ProcessSample(1.0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_check, "HANG_CHECK_SECONDS", 0.01)
    exceptions = SimpleNamespace(EngineDeadError=RuntimeError)
    monkeypatch.setitem(sys.modules, "vllm.v1.engine.exceptions", exceptions)


class FakeLlm:
    """A substitute for vLLM's `AsyncLLM` that answers `is_sleeping`, and can be marked dead."""

    output_handler = None

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.error: Exception | None = None
        self.asked = 0
        self.engine_core: Any = self
        self.resources: Any = self
        self.engine_dead = False
        self.output_processor: Any = self

    def end_silent(self, _: float) -> None:
        pass

    async def is_sleeping(self) -> bool:
        self.asked += 1
        await self.may_answer.wait()
        if self.error:
            raise self.error
        return False


class FakeTree:
    killed = False

    def sample(self) -> ProcessSample:
        return IDLE

    def kill(self) -> None:
        self.killed = True


class Watched:
    def __init__(self, *, here: bool = True) -> None:
        self.llm: Any = FakeLlm()
        tree: Any = FakeTree() if here else None
        self.tree = tree
        self.is_ready = True
        self.silences = 0
        self.reasons: list[str] = []
        self.watch = HealthCheck(
            self.llm,
            EngineLimits(stall_seconds=0.05, first_token_seconds=60),
            self.tree,
            is_ready=lambda: self.is_ready,
            on_silent=self._note_silence,
            on_hung=self.reasons.append,
        )

    def _note_silence(self) -> None:
        self.silences += 1


async def test_a_core_that_answers_is_asked_again_and_again() -> None:
    watched = Watched()
    await until_in_loop(lambda: watched.llm.asked > 5)
    watched.watch.close()

    assert watched.reasons == []
    assert watched.silences == 0


async def test_one_that_is_silent_and_idle_is_taken_for_dead_and_killed() -> None:
    watched = Watched()
    watched.llm.may_answer.clear()
    await until_in_loop(lambda: watched.tree.killed)
    watched.watch.close()

    assert watched.llm.engine_dead
    [reason] = watched.reasons
    assert reason.startswith("it has neither answered nor computed for")


async def test_what_it_raises_is_an_answer() -> None:
    watched = Watched()
    watched.llm.error = RuntimeError("Engines returned different results")
    await until_in_loop(lambda: watched.llm.asked > 10)
    watched.watch.close()

    assert watched.reasons == []


async def test_one_that_is_not_ready_is_neither_asked_nor_judged() -> None:
    watched = Watched()
    watched.is_ready = False
    watched.llm.may_answer.clear()
    asked = watched.llm.asked
    await asyncio.sleep(0.2)
    watched.watch.close()

    assert asked == watched.llm.asked
    assert watched.reasons == []


async def test_of_cores_elsewhere_their_process_is_told() -> None:
    watched = Watched(here=False)
    watched.llm.may_answer.clear()
    await until_in_loop(lambda: watched.silences > 5)
    watched.watch.close()

    assert watched.reasons == []


async def test_a_process_that_stood_still_itself_blames_nobody() -> None:
    told: list[float] = []

    async def judge(elapsed: float, _: bool) -> str | None:  # noqa: FBT001 - see until_hung
        told.append(elapsed)
        asyncio.get_running_loop().call_soon(time.sleep, 0.3)
        return "enough" if len(told) == 3 else None

    async def ask() -> None:
        await asyncio.Event().wait()

    assert await until_hung(ask, judge) == "enough"
    assert max(told) <= 2 * health_check.HANG_CHECK_SECONDS
