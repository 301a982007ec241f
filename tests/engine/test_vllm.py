"""What is vLLM's alone: loads that fail, and sampling parameters on its side of the border."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from engine.errors import EngineDead
from engine.protocol import GenerationRequest
from engine.vllm_arguments import explain_unknown_option, known_options
from engine.vllm_engine import VllmEngine

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


def test_an_unknown_option_is_named_with_its_neighbour() -> None:
    assert explain_unknown_option("dtype") is None
    assert "did you mean 'tensor_parallel_size'?" in (explain_unknown_option("tensor_size") or "")
    assert explain_unknown_option("zzz") == "the installed vLLM has no engine argument 'zzz'"
    assert {"model", "quantization", "data_parallel_size"} <= known_options()
