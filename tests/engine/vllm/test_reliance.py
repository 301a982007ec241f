"""Assumptions of `engine/vllm/outputs.py` about the installed vLLM, tested without an engine core.

If a test fails after an update of vLLM, read the change in vLLM and adapt that file.
"""

import asyncio
import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from engine.errors import EngineDead
from engine.protocol import FINISHES, GenerationRequest
from engine.tokenization.tokenizer import load_tokenizer
from engine.vllm.outputs import CURRENT_GENERATION, TokenOutputs, VllmGeneration
from engine.vllm.requests import to_sampling
from tests.support.receiving import RecordingReceiver

# torch and vLLM warn of deprecations; elsewhere a warning is an error.
pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("default")]


def broken(sentence: str) -> str:
    return f"vLLM {import_module('vllm').__version__} breaks what we rely on: {sentence}"


def part(path: str) -> Any:
    """Return a class of vLLM, whose import takes seconds."""
    module, _, name = path.rpartition(".")
    found = getattr(import_module(f"vllm.v1.{module}"), name, None)
    assert found, broken(f"vllm.v1.{module} has {name}")
    return found


@contextmanager
def relying(sentence: str) -> Iterator[None]:
    """Fail with this sentence if vLLM raises."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - other versions may raise anything
        pytest.fail(broken(f"{sentence} ({type(error).__name__}: {error})"))


def parameters(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)


def request_named(name: str) -> Any:
    """Return vLLM's form of a request, with None for all fields that do not matter."""
    kind = part("engine.EngineCoreRequest")
    asked = GenerationRequest(request_id=name, prompt=(1, 2), max_tokens=9)
    others = dict.fromkeys(parameters(kind))
    told = {
        "request_id": name,
        "external_req_id": f"{name} outside",
        "prompt_token_ids": [1, 2],
        "sampling_params": to_sampling(asked, load_tokenizer("v1"), None),
        "arrival_time": 0.0,
    }
    with relying(f"an EngineCoreRequest has {', '.join(told)}"):
        return kind(**{**others, **told})


def said(name: str, *tokens: int, **more: Any) -> Any:
    return part("engine.EngineCoreOutput")(request_id=name, new_token_ids=[*tokens], **more)


class Core:
    """A substitute for vLLM's client of an engine core."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.outputs: asyncio.Queue[Any] = asyncio.Queue()

    async def add_request_async(self, request: Any) -> None:
        self.heard.append(("add", request.request_id, CURRENT_GENERATION.get().request_id))

    async def abort_requests_async(self, request_ids: list[str]) -> None:
        self.heard.append(("abort", list(request_ids)))

    async def get_output_async(self) -> Any:
        output = await self.outputs.get()
        if isinstance(output, Exception):
            raise output
        return output

    def say(self, *outputs: Any) -> None:
        self.outputs.put_nowait(part("engine.EngineCoreOutputs")(outputs=list(outputs)))


class Front:
    """An `AsyncLLM` without an engine core, but with its own methods and `OutputProcessor`."""

    def __init__(self) -> None:
        self.core = Core()
        self.processor = part("engine.output_processor.OutputProcessor")(None, log_stats=False)
        kind = part("engine.async_llm.AsyncLLM")
        self.llm: Any = kind.__new__(kind)
        self.llm.__dict__.update(
            output_processor=TokenOutputs(self.processor),
            engine_core=self.core,
            output_handler=None,
            logger_manager=None,
            log_requests=False,
            log_stats=False,
            renderer=SimpleNamespace(mm_processor_cache=None, stat_mm_cache=lambda: None),
            check_admission=lambda *_, **__: None,
            shutdown=lambda: None,
        )

    async def add(self, name: str) -> RecordingReceiver:
        """Add a request as `AsyncLLM.add_request` does."""
        receiver, request = RecordingReceiver(), request_named(name)
        CURRENT_GENERATION.set(VllmGeneration(receiver, lambda _: None))
        collector = part("engine.output_processor.RequestOutputCollector")
        self.llm._run_output_handler()  # noqa: SLF001
        queue = collector(request.sampling_params.output_kind, name)
        await self.llm._add_request(request, None, None, 0, queue)  # noqa: SLF001
        return receiver


@pytest.fixture
def front() -> Iterator[Front]:
    with relying("an OutputProcessor and an AsyncLLM are made so"):
        made = Front()
    yield made
    if made.llm.output_handler:
        made.llm.output_handler.cancel()


def test_an_output_has_what_is_read_of_it() -> None:
    with relying("an EngineCoreOutput has these fields, and None where there is nothing"):
        plain = said("r", 1)
        read = (plain.finish_reason, plain.new_logprobs, plain.prefill_stats)
        assert read == (None, None, None)
        assert plain.new_prompt_logprobs_tensors is None
        assert plain.new_token_ids == [1]
    columns = part("outputs.LogprobsLists")._fields

    assert columns[:2] == ("logprob_token_ids", "logprobs"), broken(f"columns are not {columns}")
    columns = part("outputs.LogprobsTensors")._fields
    assert columns[:2] == ("logprob_token_ids", "logprobs"), broken(f"columns are not {columns}")


def test_reasons_to_finish_have_these_names() -> None:
    names = {str(reason) for reason in part("engine.FinishReason")}

    assert set(FINISHES) <= names, broken(f"reasons to finish are not called {names}")


def test_an_output_processor_takes_what_is_handed_on_to_it() -> None:
    expected = {
        "add_request": ["request", "prompt", "parent_req", "request_index", "queue"],
        "abort_requests": ["request_ids", "internal"],
        "process_outputs": ["engine_core_outputs", "engine_core_timestamp", "iteration_stats"],
        "propagate_error": ["e"],
    }
    for name, taken in expected.items():
        given = parameters(getattr(part("engine.output_processor.OutputProcessor"), name))[1:]
        assert given[: len(taken)] == taken, broken(f"OutputProcessor.{name} does not take {given}")


def test_an_async_llm_asks_its_output_processor_for_what_we_know_of() -> None:
    # A new method may deliver tokens or end requests.
    source = inspect.getsource(import_module("vllm.v1.engine.async_llm"))
    asked = set(re.findall(r"\boutput_processor\.(\w+)", source))
    handed_on = {"get_num_queued_tokens", "get_num_unfinished_requests", "has_request"}
    handed_on |= {"update_scheduler_stats"}
    ours = {name for name in vars(TokenOutputs) if not name.startswith("_")}

    assert asked <= ours | handed_on, broken(f"nobody asks for {asked - ours - handed_on}")


async def test_the_task_that_adds_a_request_registers_it_before_the_core_has_it(
    front: Front,
) -> None:
    with relying("AsyncLLM._add_request hands the request to its output processor"):
        await front.add("one")
    source = inspect.getsource(type(front.llm).add_request)

    assert front.core.heard == [("add", "one", "one")], broken("it is registered first")
    assert "await self._add_request(request, " in source, broken("AsyncLLM.add_request adds it so")
    assert source.index("_run_output_handler()") < source.index("await self._add_request(")


async def test_tokens_come_and_the_processor_forgets_a_request_that_it_has_seen_twice(
    front: Front,
) -> None:
    stop = part("engine.FinishReason").STOP
    with relying("the processor needs no more than the first and the last step of a request"):
        one, other = await front.add("one"), await front.add("other")
        front.core.say(said("one", 5), said("other", 6))
        front.core.say(said("one", 7, 8))
        front.core.say(said("one", 9, finish_reason=stop))
        await asyncio.wait_for(one.wait_for_end(), timeout=5)
        await asyncio.sleep(0)

    assert (one.pushes, one.finish, one.error) == ([[5], [7, 8], [9]], "stop", None)
    assert other.pushes == [[6]]
    left = front.processor.get_num_unfinished_requests()
    assert left == 1, broken("a request is forgotten with its last step")


async def test_an_abort_returns_which_requests_it_has_ended_and_tells_the_core(
    front: Front,
) -> None:
    with relying("AsyncLLM.abort takes an internal id, and the processor returns its own"):
        one = await front.add("one")
        await front.llm.abort("one", internal=True)
        await front.llm.abort("nobody", internal=True)

    assert front.core.heard[1:] == [("abort", ["one"]), ("abort", [])]
    assert isinstance(one.error, EngineDead)  # it was not cancelled
    assert front.processor.get_num_unfinished_requests() == 0


async def test_the_death_of_the_core_reaches_all_answers(front: Front) -> None:
    death = part("engine.exceptions.EngineDeadError")()
    with relying("AsyncLLM's output handler hands on the error of its core"):
        receivers = [await front.add("one"), await front.add("other")]
        front.core.outputs.put_nowait(death)
        for receiver in receivers:
            await asyncio.wait_for(receiver.wait_for_end(), timeout=5)

    assert [str(receiver.error) for receiver in receivers] == [str(death)] * 2
    assert all(isinstance(receiver.error, EngineDead) for receiver in receivers)
