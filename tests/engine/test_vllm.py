"""What is vLLM's alone: loads that fail, and sampling parameters on its side of the border."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from engine import vllm_engine, vllm_watch
from engine.errors import EngineBusy, EngineDead, EngineNotReady, EngineTimeout, RequestRefused
from engine.loading import in_thread
from engine.protocol import EngineState, GenerationRequest, Limits
from engine.vllm_cores import CoresElsewhere
from engine.vllm_engine import VllmEngine
from engine.vllm_options import SHUTDOWN_TIMEOUT, explain_option, known_options
from engine.vllm_outputs import TokenOutputs
from engine.vllm_watch import Watch
from tests.waiting import taken

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


async def test_an_engine_is_closed_when_its_load_has_ended() -> None:
    free = threading.Event()

    def weights() -> str:
        free.wait()
        return "/nowhere"

    engine = VllmEngine(weights=weights, tokenizer="v1", context_length=1_024, options={})
    start = asyncio.create_task(engine.start())
    await asyncio.sleep(0.01)
    start.cancel()
    close = asyncio.create_task(engine.close())
    await asyncio.sleep(0.01)
    assert not close.done()
    free.set()
    await asyncio.wait_for(close, timeout=5)

    assert engine.state().status == "cold"


def test_a_load_takes_no_thread_from_short_work() -> None:
    async def scenario() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(max_workers=1))
        free = threading.Event()
        loading = asyncio.create_task(in_thread(free.wait))
        await asyncio.sleep(0.01)
        await asyncio.wait_for(asyncio.to_thread(str), timeout=5)
        free.set()
        await loading

    with ThreadPoolExecutor() as pool:  # its loop must not be the one of the other tests
        pool.submit(asyncio.run, scenario()).result(timeout=10)


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
        cores=CoresElsewhere(0, 2, lambda: None, lambda: None),
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
    waiting = asyncio.create_task(taken(queue.answer))
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


class AskedLlm(StandInLlm):
    """vLLM's `AsyncLLM` as far as it takes requests: `asked_for` is what it does with one."""

    def __init__(self, asked_for: Callable[[], Awaitable[Any]]) -> None:
        super().__init__()
        self._asked_for = asked_for
        self.aborted: list[str] = []
        self.output_processor = SimpleNamespace(get_num_unfinished_requests=lambda: 0)

    async def add_request(self, *_: object, **__: object) -> Any:
        return await self._asked_for()

    async def abort(self, request_id: str, *, internal: bool = False) -> None:
        self.aborted.append(f"{request_id} {internal}")


def raising(error: Exception) -> Callable[[], Awaitable[Any]]:
    async def ask() -> None:
        raise error

    return ask


async def never() -> None:
    await asyncio.Event().wait()


ASK = GenerationRequest(request_id="r", prompt=(1,), max_tokens=1)
QUEUE_IS_FULL = RuntimeError("busy")
setattr(QUEUE_IS_FULL, "http_status", 503)  # noqa: B010 - as vLLM's QueueOverflowError has it


async def asking(llm: AskedLlm, limits: Limits = Limits()) -> VllmEngine:  # noqa: B008 - frozen
    """One that has a tokenizer and this stand-in."""
    engine = VllmEngine(
        weights=str, tokenizer="v1", context_length=1_024, options={}, limits=limits
    )
    engine.read_tokenizer()
    setattr(engine, "_llm", llm)  # noqa: B010 - a load is what it stands in for
    setattr(engine, "_state", EngineState("ready"))  # noqa: B010 - the same
    return engine


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (ValueError("a bad prompt"), RequestRefused),
        (QUEUE_IS_FULL, EngineBusy),
        (RuntimeError("cannot schedule new futures after shutdown"), RuntimeError),
    ],
)
async def test_what_vllm_raises_for_a_request_is_the_clients_fault_only_if_it_says_so(
    raised: Exception, told: type[Exception]
) -> None:
    llm = AskedLlm(raising(raised))
    engine = await asking(llm)

    with pytest.raises(told, match=str(raised)):
        await anext(engine.generate(ASK))
    assert llm.aborted == ["r False"]
    assert engine.running() == 0


async def test_a_call_counts_and_its_time_runs_before_vllm_has_taken_it() -> None:
    engine = await asking(AskedLlm(never), Limits(calls=1, first_token_seconds=0.2))
    first = asyncio.ensure_future(anext(engine.generate(ASK)))
    await asyncio.sleep(0.01)

    assert engine.running() == 1
    with pytest.raises(EngineBusy, match="1 calls"):
        await anext(engine.generate(ASK))
    with pytest.raises(EngineTimeout):
        await first
    assert engine.running() == 0


@pytest.mark.parametrize("end", ["closed", "hangs"])
async def test_a_call_that_vllm_has_not_taken_yet_ends_with_the_core(end: str) -> None:
    """Before its first request, vLLM waits for an answer of the core's, and for that alone."""
    engine = await asking(AskedLlm(never))
    asked = asyncio.ensure_future(anext(engine.generate(ASK)))
    await asyncio.sleep(0.01)
    if end == "closed":
        await engine.close()
    else:
        engine._note_hung("it is stopped")  # noqa: SLF001 - as `Watch` does

    with pytest.raises(EngineDead):
        await asyncio.wait_for(asked, timeout=5)
    assert engine.running() == 0


def watching(llm: Any, limits: Limits) -> Watch:
    """What a load would begin."""
    return Watch(
        llm,
        limits,
        None,
        is_ready=lambda: False,
        on_silent=lambda: None,
        on_hung=lambda _: None,
    )


async def test_an_answer_that_stops_in_the_middle_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    class Processor:
        def add_request(self, *_: object) -> None:
            pass

        def process_outputs(self, *_: object, **__: object) -> None:
            pass

        def get_num_unfinished_requests(self) -> int:
            return 0

    outputs = TokenOutputs(Processor())

    async def ask() -> Any:
        queue = SimpleNamespace(request_id="r-1")
        outputs.add_request(SimpleNamespace(request_id="r-1"), None, queue=queue)
        output = SimpleNamespace(
            request_id="r-1",
            new_token_ids=[1_000],
            new_logprobs=None,
            finish_reason=None,
            prefill_stats=None,
        )
        outputs.process_outputs([output])
        return queue

    monkeypatch.setattr(vllm_watch, "LOOK", 0.01)
    llm = AskedLlm(ask)
    setattr(llm, "output_processor", outputs)  # noqa: B010 - instead of the count
    engine = await asking(llm, Limits(first_token_seconds=0.1))
    watch = watching(llm, Limits(first_token_seconds=0.1))
    deltas = engine.generate(replace(ASK, max_tokens=5))
    await anext(deltas)

    with pytest.raises(EngineTimeout):
        await anext(deltas)
    assert llm.aborted == ["r-1 True"]
    watch.close()


def test_an_unknown_option_is_named_with_its_neighbour() -> None:
    assert explain_option("dtype", "half") is None
    assert "did you mean 'tensor_parallel_size'?" in (explain_option("tensor_size", 2) or "")
    assert explain_option("zzz", None) == "the installed vLLM has no engine argument 'zzz'"
    assert {"model", "quantization", "data_parallel_size"} <= known_options().keys()
