"""What is vLLM's alone: loads that fail, and sampling parameters on its side of the border."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from engine import vllm_engine
from engine.errors import EngineDead, EngineNotReady
from engine.protocol import EngineState, GenerationRequest
from engine.vllm_cores import CoresElsewhere
from engine.vllm_engine import VllmEngine
from engine.vllm_options import SHUTDOWN_TIMEOUT, explain_option, known_options
from engine.vllm_outputs import TokenOutputs

pytestmark = pytest.mark.filterwarnings("default")


def engine_with(weights: str, **options: Any) -> VllmEngine:
    return VllmEngine(
        weights=lambda: weights, tokenizer="v1", context_length=1_024, options=options
    )


async def test_a_load_that_fails_keeps_its_reason_and_answers_with_it() -> None:
    engine = engine_with("/nowhere/at-all")
    await engine.start()
    state = engine.state()

    assert state.status == "failed"
    assert state.reason
    assert "/nowhere/at-all" in state.reason
    with pytest.raises(EngineDead, match="/nowhere/at-all"):
        await anext(engine.generate(GenerationRequest(request_id="r", prompt=(1,), max_tokens=1)))
    await engine.close()


async def test_an_option_that_vllm_refuses_is_the_reason() -> None:
    engine = engine_with("/nowhere", tensor_size=2)
    await engine.start()

    assert "'tensor_size'" in (engine.state().reason or "")


def test_closing_an_engine_whose_load_still_waits_for_a_thread_comes_to_an_end() -> None:
    async def scenario() -> str:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(max_workers=1))
        free = threading.Event()
        loop.run_in_executor(None, free.wait)
        engine = engine_with("/nowhere")
        start = asyncio.create_task(engine.start())
        await asyncio.sleep(0.01)
        start.cancel()
        close = asyncio.create_task(engine.close())
        await asyncio.sleep(0.01)
        free.set()
        await asyncio.wait_for(close, timeout=5)
        return engine.state().status

    with ThreadPoolExecutor() as pool:  # its loop must not be the one of the other tests
        assert pool.submit(asyncio.run, scenario()).result(timeout=10) == "cold"


async def test_a_front_end_of_cores_elsewhere_greets_no_longer_than_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: dict[str, str] = {}
    monkeypatch.setattr(vllm_engine, "set_environment", told.update)
    engine = VllmEngine(
        weights=lambda: "/nowhere",
        tokenizer="none",
        context_length=8,
        options={},
        environment={"MORE": "1"},
        cores=CoresElsewhere(0, 2, lambda: None),
    )
    await engine.start()

    assert engine.state().status == "failed"
    assert told == {"MORE": "1", "VLLM_ENGINE_READY_TIMEOUT_S": "60"}


class StandInLlm:
    """vLLM's `AsyncLLM` as far as sleep is concerned, which no build for the CPU has."""

    output_handler = None

    def __init__(self, *, fails: bool = False) -> None:
        self.errored = False
        self.asked: list[Any] = []
        self._fails = fails

    async def sleep(self, level: int) -> None:
        self._ask("sleep", level)

    async def wake_up(self) -> None:
        self._ask("wake_up")

    def shutdown(self, timeout: float) -> None:
        self.asked.append(("shutdown", timeout))

    def _ask(self, *what: Any) -> None:
        self.asked.append(what)
        if self._fails:
            raise RuntimeError("no")


SHUTDOWN = ("shutdown", SHUTDOWN_TIMEOUT)


def ready_engine(llm: StandInLlm, **options: Any) -> VllmEngine:
    engine = engine_with("/nowhere/at-all", **options)
    setattr(engine, "_llm", llm)  # noqa: B010 - a load is what it stands in for
    setattr(engine, "_state", EngineState("ready"))  # noqa: B010 - the same
    return engine


async def test_one_with_sleep_mode_sleeps_and_wakes() -> None:
    llm = StandInLlm()
    engine = ready_engine(llm, enable_sleep_mode=True)
    await engine.release()

    assert engine.state().status == "asleep"
    with pytest.raises(EngineNotReady, match="asleep"):
        engine.tokenizer()
    await engine.start()
    assert engine.state().status == "ready"
    assert llm.asked == [("sleep", 1), ("wake_up",)]
    await engine.release()
    await engine.close()
    assert llm.asked[2:] == [("sleep", 1), SHUTDOWN]
    assert engine.state().status == "cold"


async def test_one_without_sleep_mode_is_closed() -> None:
    llm = StandInLlm()
    engine = ready_engine(llm)
    await engine.release()

    assert engine.state().status == "cold"
    assert llm.asked == [SHUTDOWN]


async def test_one_that_does_not_fall_asleep_is_closed() -> None:
    llm = StandInLlm(fails=True)
    engine = ready_engine(llm, enable_sleep_mode=True)
    await engine.release()

    assert engine.state().status == "cold"
    assert llm.asked == [("sleep", 1), SHUTDOWN]


async def test_one_that_does_not_wake_is_closed_and_says_why() -> None:
    llm = StandInLlm()
    engine = ready_engine(llm, enable_sleep_mode=True)
    await engine.release()
    setattr(llm, "_fails", True)  # noqa: B010 - from now on
    await engine.start()

    assert engine.state() == EngineState("failed", "RuntimeError: no")
    assert llm.asked[2:] == [SHUTDOWN]


async def test_whoever_waits_for_a_token_of_one_that_is_closed_is_told() -> None:
    class Processor:
        def add_request(self, *_: object) -> None:
            pass

    llm = StandInLlm()
    outputs, queue = TokenOutputs(Processor()), SimpleNamespace()
    outputs.add_request(SimpleNamespace(request_id="r"), None, queue=queue)
    setattr(llm, "output_processor", outputs)  # noqa: B010 - a stand-in has none
    setattr(llm, "output_handler", asyncio.create_task(asyncio.sleep(3_600)))  # noqa: B010 - the same
    waiting = asyncio.create_task(queue.answer.take())
    await asyncio.sleep(0)
    await ready_engine(llm).close()

    [told] = await asyncio.wait_for(asyncio.gather(waiting, return_exceptions=True), timeout=5)
    assert type(told).__name__ == "EngineDeadError"


async def test_one_that_died_in_its_sleep_is_closed_and_loaded_again() -> None:
    llm = StandInLlm()
    engine = ready_engine(llm, enable_sleep_mode=True)
    await engine.release()
    llm.errored = True
    await engine.start()

    assert llm.asked[1:] == [SHUTDOWN]
    assert "/nowhere/at-all" in (engine.state().reason or "")  # the new load's


async def test_the_tokenizer_can_be_had_without_the_engine() -> None:
    engine = engine_with("/nowhere/at-all")
    missing = VllmEngine(
        weights=lambda: "/nowhere/at-all", tokenizer="tekken", context_length=8, options={}
    )

    assert engine.read_tokenizer() is engine.read_tokenizer()
    assert engine.state().status == "cold"
    with pytest.raises(EngineDead, match="/nowhere/at-all"):
        missing.read_tokenizer()


def test_an_unknown_option_is_named_with_its_neighbour() -> None:
    assert explain_option("dtype", "half") is None
    assert "did you mean 'tensor_parallel_size'?" in (explain_option("tensor_size", 2) or "")
    assert explain_option("zzz", None) == "the installed vLLM has no engine argument 'zzz'"
    assert {"model", "quantization", "data_parallel_size"} <= known_options()
