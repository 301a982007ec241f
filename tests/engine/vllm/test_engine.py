"""The vLLM engine: failing loads, sleep, and errors of requests."""

import asyncio
import logging
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from engine.errors import EngineBusy, EngineDead, EngineNotReady, EngineTimeout, RequestRefused
from engine.lifecycle.loading import in_thread
from engine.protocol import EngineLimits, EngineState, GenerationRequest
from engine.vllm import engine as vllm_engine
from engine.vllm import health_check
from engine.vllm.cores import SharedCores
from engine.vllm.engine import VllmEngine
from engine.vllm.health_check import HealthCheck
from engine.vllm.options import (
    SHUTDOWN_TIMEOUT,
    explain_option,
    known_options,
    set_environment,
)
from engine.vllm.outputs import TokenOutputs
from tests.support.receiving import RecordingReceiver, text_of
from tests.support.waiting import until_in_loop

pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("default")]

ASK = GenerationRequest(request_id="r", prompt=(1,), max_tokens=1)


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
        engine.generate(ASK, RecordingReceiver())
    await engine.close()


async def test_an_option_that_vllm_refuses_is_the_reason() -> None:
    engine = engine_with("/nowhere", tensor_size=2)
    await engine.start()

    assert "'tensor_size'" in (engine.state().reason or "")


@pytest.mark.parametrize(("said", "level"), [("error", logging.ERROR), ("loud", logging.INFO)])
def test_vllms_log_level_holds_while_vllm_is_imported(
    monkeypatch: pytest.MonkeyPatch, said: str, level: int
) -> None:
    logger = logging.getLogger("vllm")
    monkeypatch.setattr(os, "environ", {"VLLM_LOGGING_LEVEL": said})
    monkeypatch.setattr(logger, "level", logging.INFO)
    set_environment({})

    assert logger.level == level


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

    with ThreadPoolExecutor() as pool:  # its loop must not be that of the other tests
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
        cores=SharedCores(0, 2, lambda: None, lambda: None),
    )
    await engine.start()

    assert engine.state().status == "failed"
    assert told == {"MORE": "1", "VLLM_ENGINE_READY_TIMEOUT_S": "60"}


class FakeLlm:
    """A substitute for vLLM's `AsyncLLM` that sleeps, which builds for the CPU can't."""

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


def ready_engine(llm: FakeLlm, **options: Any) -> VllmEngine:
    engine = engine_with("/nowhere/at-all", **options)
    setattr(engine, "_llm", llm)  # noqa: B010 - in the place of a load
    setattr(engine, "_state", EngineState("ready"))  # noqa: B010 - the same
    return engine


async def test_one_with_sleep_mode_sleeps_and_wakes() -> None:
    llm = FakeLlm()
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
    llm = FakeLlm()
    engine = ready_engine(llm)
    await engine.release()

    assert engine.state().status == "cold"
    assert llm.asked == [SHUTDOWN]


async def test_one_that_does_not_fall_asleep_is_closed() -> None:
    llm = FakeLlm(fails=True)
    engine = ready_engine(llm, enable_sleep_mode=True)
    await engine.release()

    assert engine.state().status == "cold"
    assert llm.asked == [("sleep", 1), SHUTDOWN]


async def test_one_that_does_not_wake_is_closed_and_says_why() -> None:
    llm = FakeLlm()
    engine = ready_engine(llm, enable_sleep_mode=True)
    await engine.release()
    setattr(llm, "_fails", True)  # noqa: B010 - from now on
    await engine.start()

    assert engine.state() == EngineState("failed", "RuntimeError: no")
    assert llm.asked[2:] == [SHUTDOWN]


async def test_whoever_waits_for_a_token_of_one_that_is_closed_is_told() -> None:
    llm = AddingLlm()
    setattr(llm, "output_handler", asyncio.create_task(asyncio.sleep(3_600)))  # noqa: B010 - the substitute has none
    engine, receiver = await asking(llm), RecordingReceiver()
    engine.generate(ASK, receiver)
    await until_in_loop(lambda: llm.added == 1)
    await engine.close()

    assert isinstance(receiver.error, EngineDead)
    assert engine.running() == 0
    assert llm.aborted == []


async def test_one_that_died_in_its_sleep_is_closed_and_loaded_again() -> None:
    llm = FakeLlm()
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


class AskedLlm(FakeLlm):
    """A substitute for vLLM's `AsyncLLM` that handles each request by `asked_for`."""

    def __init__(self, asked_for: Callable[[], Awaitable[Any]]) -> None:
        super().__init__()
        self._asked_for = asked_for
        self.aborted: list[str] = []

    async def add_request(self, *_: object, **__: object) -> Any:
        return await self._asked_for()

    async def abort(self, request_id: str, *, internal: bool = False) -> None:
        self.aborted.append(f"{request_id} {internal}")


class Processor:
    """A substitute for vLLM's `OutputProcessor`."""

    def add_request(self, *_: object) -> None:
        pass

    def process_outputs(self, *_: object, **__: object) -> None:
        pass

    def abort_requests(self, request_ids: list[str], _: bool) -> list[str]:  # noqa: FBT001 - vLLM's
        return request_ids


class AddingLlm(AskedLlm):
    """A substitute that adds each request as `r-1` before it handles it."""

    def __init__(self, asked_for: Callable[[], Awaitable[Any]] = lambda: asyncio.sleep(0)) -> None:
        super().__init__(asked_for)
        self.output_processor = TokenOutputs(Processor())
        self.added = 0

    async def add_request(self, *_: object, **__: object) -> Any:
        self.output_processor.add_request(SimpleNamespace(request_id="r-1"), None)
        self.added += 1
        return await self._asked_for()

    def say(self, *tokens: int) -> None:
        output = SimpleNamespace(
            request_id="r-1",
            new_token_ids=[*tokens],
            new_logprobs=None,
            new_prompt_logprobs_tensors=None,
            finish_reason=None,
            prefill_stats=None,
        )
        self.output_processor.process_outputs([output])


def raising(error: Exception) -> Callable[[], Awaitable[Any]]:
    async def ask() -> None:
        raise error

    return ask


async def never() -> None:
    await asyncio.Event().wait()


QUEUE_IS_FULL = RuntimeError("busy")
setattr(QUEUE_IS_FULL, "http_status", 503)  # noqa: B010 - as vLLM's QueueOverflowError has it


async def asking(llm: AskedLlm, limits: EngineLimits = EngineLimits()) -> VllmEngine:  # noqa: B008 - frozen
    """Return an engine with a tokenizer and this substitute for vLLM."""
    engine = VllmEngine(
        weights=str, tokenizer="v1", context_length=1_024, options={}, limits=limits
    )
    engine.read_tokenizer()
    setattr(engine, "_llm", llm)  # noqa: B010 - in the place of a load
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
@pytest.mark.parametrize(("kind", "aborted"), [(AskedLlm, []), (AddingLlm, ["r-1 True"])])
async def test_what_vllm_raises_for_a_request_is_the_clients_fault_only_if_it_says_so(
    raised: Exception, told: type[Exception], kind: type[AskedLlm], aborted: list[str]
) -> None:
    llm = kind(raising(raised))
    engine = await asking(llm)

    with pytest.raises(told, match=str(raised)):
        await text_of(engine, ASK)
    await asyncio.sleep(0)
    assert llm.aborted == aborted
    assert engine.running() == 0


async def test_a_call_counts_and_its_time_runs_before_vllm_has_taken_it() -> None:
    engine, receiver = (
        await asking(AskedLlm(never), EngineLimits(calls=1, first_token_seconds=0.2)),
        RecordingReceiver(),
    )
    engine.generate(ASK, receiver)
    await asyncio.sleep(0.01)

    assert engine.running() == 1
    with pytest.raises(EngineBusy, match="1 calls"):
        engine.generate(ASK, receiver)
    await receiver.wait_for_end()
    assert isinstance(receiver.error, EngineTimeout)
    assert engine.running() == 0


@pytest.mark.parametrize("end", ["closed", "hangs"])
async def test_a_call_that_vllm_has_not_taken_yet_ends_with_the_core(end: str) -> None:
    # Before its first request, vLLM waits for an answer of the core only.
    engine, receiver = await asking(AskedLlm(never)), RecordingReceiver()
    engine.generate(ASK, receiver)
    await asyncio.sleep(0.01)
    if end == "closed":
        await engine.close()
    else:
        engine._note_hung("it is stopped")  # noqa: SLF001 - as `HealthCheck` does

    await asyncio.wait_for(receiver.wait_for_end(), timeout=5)
    assert isinstance(receiver.error, EngineDead)
    assert engine.running() == 0


@pytest.mark.parametrize(
    ("kind", "asked_for", "aborted"),
    [(AskedLlm, never, []), (AddingLlm, never, ["r-1 True"]), (AddingLlm, None, ["r-1 True"])],
    ids=["before vLLM has it", "while vLLM takes it", "later"],
)
@pytest.mark.parametrize("rounds", [0, 1, 5])
async def test_a_call_that_is_cancelled_is_aborted_where_it_is(
    kind: type[AskedLlm], asked_for: Any, aborted: list[str], rounds: int
) -> None:
    llm = kind(asked_for) if asked_for else kind(lambda: asyncio.sleep(0))
    engine, receiver = await asking(llm), RecordingReceiver()
    generation = engine.generate(ASK, receiver)
    for _ in range(rounds):
        await asyncio.sleep(0)
    generation.cancel()
    generation.cancel()
    assert engine.running() == 0
    for _ in range(5):
        await asyncio.sleep(0)

    assert llm.aborted == (aborted if rounds else [])
    assert (receiver.pushes, receiver.error) == ([], None)
    assert all(
        "test" in task.get_name().lower() or task is asyncio.current_task()
        for task in asyncio.all_tasks()
    )


def watching(llm: Any, limits: EngineLimits) -> HealthCheck:
    """Start the health check, as a load does."""
    return HealthCheck(
        llm,
        limits,
        None,
        is_ready=lambda: False,
        on_silent=lambda: None,
        on_hung=lambda _: None,
    )


@pytest.mark.parametrize("tokens", [(), (1_000,)], ids=["before its first token", "later"])
async def test_an_answer_that_stops_ends(
    tokens: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_check, "SILENCE_CHECK_SECONDS", 0.01)
    llm = AddingLlm()
    engine, receiver = await asking(llm), RecordingReceiver()
    watch = watching(llm, EngineLimits(first_token_seconds=0.1))
    engine.generate(replace(ASK, max_tokens=5), receiver)
    await until_in_loop(lambda: llm.added == 1)
    if tokens:
        llm.say(*tokens)
    await asyncio.wait_for(receiver.wait_for_end(), timeout=5)
    await asyncio.sleep(0)

    assert receiver.tokens == [*tokens]
    assert isinstance(receiver.error, EngineTimeout)
    assert llm.aborted == ["r-1 True"]
    assert engine.running() == 0
    watch.close()


async def test_a_paused_answer_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_check, "SILENCE_CHECK_SECONDS", 0.01)
    llm = AddingLlm()
    engine, receiver = await asking(llm), RecordingReceiver()
    watch = watching(llm, EngineLimits(first_token_seconds=0.1))
    generation = engine.generate(ASK, receiver)
    generation.pause()
    await asyncio.sleep(0.3)
    assert receiver.error is None
    generation.resume()
    await asyncio.wait_for(receiver.wait_for_end(), timeout=5)

    assert isinstance(receiver.error, EngineTimeout)
    watch.close()


def test_an_unknown_option_is_named_with_its_neighbour() -> None:
    assert explain_option("dtype", "half") is None
    assert "did you mean 'tensor_parallel_size'?" in (explain_option("tensor_size", 2) or "")
    assert explain_option("zzz", None) == "the installed vLLM has no engine argument 'zzz'"
    assert {"model", "quantization", "data_parallel_size"} <= known_options().keys()
