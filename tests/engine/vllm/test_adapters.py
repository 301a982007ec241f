"""LoRA adapters: each vLLM loads one once, before its first request."""

from typing import Any

import pytest

from engine.errors import EngineDead
from engine.lora import Adapter
from engine.vllm.adapters import Adapters

pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("default")]

TUNED = Adapter("tuned", "/adapters/tuned")


class FakeLlm:
    """A substitute for vLLM's `AsyncLLM` that loads adapters."""

    def __init__(self, error: Exception | None = None) -> None:
        self.loaded: list[Any] = []
        self._error = error

    async def add_lora(self, named: Any) -> bool:
        if self._error:
            raise self._error
        self.loaded.append(named)
        return True


async def load(adapters: Adapters, llm: Any, adapter: Adapter | None = TUNED) -> Any:
    return await adapters.load(llm, adapter)


async def test_each_vllm_loads_an_adapter_once() -> None:
    adapters, first, second = Adapters(), FakeLlm(), FakeLlm()
    named = [await load(adapters, llm) for llm in (first, first, second)]

    assert (len(first.loaded), len(second.loaded)) == (1, 1)
    assert {each.lora_path for each in named} == {TUNED.folder}
    assert len({each.lora_int_id for each in named}) == 1
    assert await load(adapters, first, None) is None
    other = await load(adapters, first, Adapter("", "/adapters/other"))
    assert other.lora_int_id not in (0, named[0].lora_int_id)


async def test_one_that_does_not_load_is_tried_again_by_the_next_call() -> None:
    from vllm.v1.engine.exceptions import EngineDeadError  # noqa: PLC0415 - it takes seconds

    adapters = Adapters()
    for error in (ValueError("no such rank"), EngineDeadError()):
        with pytest.raises(EngineDead):
            await load(adapters, FakeLlm(error))
    with pytest.raises(EngineDead, match="'tuned' has no folder"):
        await load(adapters, FakeLlm(), Adapter("tuned"))
    llm = FakeLlm()
    await load(adapters, llm)

    assert len(llm.loaded) == 1
