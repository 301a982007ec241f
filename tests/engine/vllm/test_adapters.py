"""LoRA adapters: each vLLM loads one once, before its first request."""

from pathlib import Path
from typing import Any

import pytest

from engine.errors import EngineDead
from engine.lora import Adapter
from engine.vllm.adapters import Adapters
from tests.support.adapters import make_adapter

pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("default")]

OPTIONS = {"enable_lora": True}


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


@pytest.fixture
def tuned(tmp_path: Path) -> Adapter:
    return Adapter("tuned", str(make_adapter(tmp_path / "tuned")))


async def load(adapters: Adapters, llm: Any, adapter: Adapter | None) -> Any:
    return await adapters.load(llm, adapter)


async def test_each_vllm_loads_an_adapter_once(tuned: Adapter, tmp_path: Path) -> None:
    adapters, first, second = Adapters(OPTIONS), FakeLlm(), FakeLlm()
    named = [await load(adapters, llm, tuned) for llm in (first, first, second)]

    assert (len(first.loaded), len(second.loaded)) == (1, 1)
    assert {each.lora_path for each in named} == {tuned.folder}
    assert len({each.lora_int_id for each in named}) == 1
    assert await load(adapters, first, None) is None
    other = await load(adapters, first, Adapter("", str(make_adapter(tmp_path / "other"))))
    assert other.lora_int_id not in (0, named[0].lora_int_id)


async def test_one_that_does_not_load_is_tried_again_by_the_next_call(tuned: Adapter) -> None:
    from vllm.v1.engine.exceptions import EngineDeadError  # noqa: PLC0415 - it takes seconds

    adapters = Adapters(OPTIONS)
    for error in (ValueError("no such rank"), EngineDeadError()):
        with pytest.raises(EngineDead):
            await load(adapters, FakeLlm(error), tuned)
    with pytest.raises(EngineDead, match="from a folder"):
        await load(adapters, FakeLlm(), Adapter("tuned"))
    llm = FakeLlm()
    await load(adapters, llm, tuned)

    assert len(llm.loaded) == 1


async def test_an_adapter_that_vllm_would_refuse_does_not_reach_it(tmp_path: Path) -> None:
    llm = FakeLlm()
    large = Adapter("large", str(make_adapter(tmp_path / "large", rank=32)))
    for bad, reason in ((large, "rank 32"), (Adapter("none", "/nowhere"), "no folder")):
        with pytest.raises(EngineDead, match=reason):
            await load(Adapters(OPTIONS), llm, bad)

    assert llm.loaded == []
