"""Front ends of shared cores, on a substitute for vLLM."""

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from engine.errors import EngineDead
from engine.vllm import cores
from engine.vllm.cores import FrontEnd, SharedCores, VllmCores
from tests.support.waiting import until

HERE = FrontEnd("inputs", "outputs", None)
THERE = FrontEnd("other inputs", "other outputs", "stats")


class FakeLlm:
    """A substitute for vLLM's `AsyncLLM` that can be marked dead."""

    output_handler = None

    def __init__(self, addresses: dict[str, str]) -> None:
        self.addresses = addresses
        self.engine_core = SimpleNamespace(resources=SimpleNamespace(engine_dead=False))

    @property
    def is_dead(self) -> bool:
        dead: bool = self.engine_core.resources.engine_dead
        return dead


class Making:
    """A factory of substitutes that takes a given time."""

    def __init__(self) -> None:
        self.has_begun, self.may_end = threading.Event(), threading.Event()
        self.may_end.set()

    def from_vllm_config(self, _: object, *, client_addresses: Any, **__: Any) -> FakeLlm:
        self.has_begun.set()
        assert self.may_end.wait(timeout=10)
        return FakeLlm(client_addresses)


class Front:
    """A front end whose `open` runs in a thread."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self.met = self.broken = 0
        self.cores = SharedCores(0, 2, self._note, self._note_broken)

    def _note(self) -> None:
        self.met += 1

    def _note_broken(self) -> None:
        self.broken += 1

    def begin(self) -> "Future[Any]":
        return self._pool.submit(self.cores.open, {"disable_log_stats": True})

    def open(self) -> FakeLlm:
        llm: FakeLlm = self.begin().result(timeout=10)
        return llm


@pytest.fixture
def making(monkeypatch: pytest.MonkeyPatch) -> Making:
    made = Making()
    exceptions = SimpleNamespace(EngineDeadError=RuntimeError)
    monkeypatch.setitem(
        sys.modules,
        "vllm.v1.engine.async_llm",
        SimpleNamespace(AsyncLLM=made),
    )
    monkeypatch.setitem(sys.modules, "vllm.v1.engine.exceptions", exceptions)
    monkeypatch.setattr(cores, "create_config", lambda *_, **__: None)
    return made


@pytest.fixture
def front(making: Making) -> Iterator[Front]:
    with ThreadPoolExecutor() as pool:
        made = Front(pool)
        yield made
        making.may_end.set()
        made.cores.lost("the test ends")


def test_it_waits_until_they_are_found(front: Front) -> None:
    opening = front.begin()
    front.cores.found(THERE)
    llm = opening.result(timeout=10)

    assert llm.addresses == {
        "input_address": "other inputs",
        "output_address": "other outputs",
        "stats_update_address": "stats",
    }
    assert not llm.is_dead
    assert front.met == 1


def test_those_that_did_not_start_say_why_and_the_next_are_met(front: Front) -> None:
    opening = front.begin()
    front.cores.lost("no memory")
    with pytest.raises(EngineDead, match="no memory"):
        opening.result(timeout=10)
    front.cores.found(HERE)

    assert not front.open().is_dead


def test_those_that_end_end_their_front_end_and_the_next_are_met(front: Front) -> None:
    front.cores.found(HERE)
    llm = front.open()
    front.cores.lost("died")

    assert llm.is_dead
    again = front.begin()
    front.cores.found(THERE)
    assert again.result(timeout=10).addresses["input_address"] == "other inputs"
    assert front.met == 2


def test_those_that_end_while_they_are_met_are_noticed(front: Front, making: Making) -> None:
    making.may_end.clear()
    front.cores.found(HERE)
    opening = front.begin()
    assert making.has_begun.wait(timeout=10)
    front.cores.lost("died")
    making.may_end.set()

    assert opening.result(timeout=10).is_dead
    assert front.met == 0
    front.cores.found(THERE)
    assert not front.open().is_dead


def test_the_next_may_be_there_before_the_last_are_met(front: Front, making: Making) -> None:
    making.may_end.clear()
    front.cores.found(HERE)
    opening = front.begin()
    assert making.has_begun.wait(timeout=10)
    front.cores.lost("died")
    front.cores.found(THERE)
    making.may_end.set()

    assert opening.result(timeout=10).is_dead
    assert front.open().addresses["input_address"] == "other inputs"


def test_those_that_end_before_they_are_met_are_not_looked_for(front: Front) -> None:
    front.cores.found(HERE)
    front.cores.lost("died")

    with pytest.raises(EngineDead, match="died"):
        front.open()


def test_a_front_end_that_breaks_alone_can_not_meet_them_again(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "NEWS_SECONDS", 0.05)
    front.cores.found(HERE)
    front.open()

    with pytest.raises(EngineDead, match="only once"):
        front.open()
    assert front.broken == 1


def test_one_that_breaks_before_it_hears_of_their_end_meets_the_next(front: Front) -> None:
    front.cores.found(HERE)
    front.open()
    opening = front.begin()
    until(lambda: getattr(front.cores, "_llm") is None)  # noqa: B009 - until it waits
    front.cores.lost("died")
    with pytest.raises(EngineDead, match="died"):
        opening.result(timeout=10)
    front.cores.found(THERE)

    assert front.open().addresses["input_address"] == "other inputs"
    assert front.broken == 0


def test_their_coordinator_is_watched_as_well() -> None:
    cores = VllmCores(weights=str, context_length=8, options={}, environment={}, front_ends=2)
    manager = SimpleNamespace(sentinels=lambda: [1, 2])
    coordinator = SimpleNamespace(proc=SimpleNamespace(sentinel=3))
    assert cores.sentinels() == []

    for name, value in {"manager": manager, "coordinator": coordinator, "is_started": True}.items():
        setattr(cores, f"_{name}", value)

    assert cores.sentinels() == [1, 2, 3]


def test_cores_of_rays_are_refused() -> None:
    with pytest.raises(EngineDead, match="serve without --workers"):
        VllmCores(
            weights=str,
            context_length=8,
            options={"data_parallel_backend": "ray"},
            environment={},
            front_ends=2,
        )
