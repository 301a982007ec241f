"""Models that share an engine, and the order in which engines load."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from engine.errors import EngineDead, EngineNotReady
from engine.lifecycle.supervised import SupervisedEngine
from engine.protocol import EngineState
from invoke_api.models import engine_factory
from invoke_api.models.engine_factory import EngineChoice, count_processors, most_loading
from invoke_api.models.engine_pool import Engines, build_engines
from invoke_api.models.registry import DEFAULT_REGISTRY, load_registry
from invoke_api.server.bootstrap import README_MODEL
from tests.support.servers import (
    BASE,
    LARGE,
    LARGE_3,
    MINISTRAL_3B,
    MIXTRAL,
    ROOT,
    SEVEN_B,
    SMALL,
    VOXTRAL_MINI,
    VOXTRAL_SMALL,
)
from tests.support.stubs import SwappedStub

CACHE = Path("never-written")
OTHER_DEMOS = (MIXTRAL, LARGE_3, VOXTRAL_MINI)  # one of each demo checkpoint but the first


def groups(engines: Engines) -> list[set[str]]:
    """Return the models of each engine."""
    by_engine: dict[int, set[str]] = {}
    for model_id, engine in engines.items():
        by_engine.setdefault(id(engine), set()).add(model_id)
    return list(by_engine.values())


def build(
    *, kind: str | None = None, demo: str | None = None, max_loaded: int | None = None
) -> Engines:
    models = load_registry(DEFAULT_REGISTRY).models.values()
    choice = EngineChoice(kind=kind, demo=demo, max_loaded=max_loaded, cache=CACHE)
    return build_engines(models, choice)


def test_each_of_the_shipped_models_has_weights_of_its_own() -> None:
    made = build()

    assert groups(made) == [{model_id} for model_id, _ in made.items()]


def test_models_share_a_demo_checkpoint_but_mixtral_and_those_that_see_or_hear() -> None:
    made = build(demo="tiny")
    models = load_registry(DEFAULT_REGISTRY).models
    seeing = {model_id for model_id, model in models.items() if model.listing.sees}

    hearing = {model_id for model_id, model in models.items() if model.listing.hears}

    text_only = models.keys() - {MIXTRAL} - seeing - hearing
    assert groups(made) == [text_only, {MIXTRAL}, seeing, hearing]
    assert {LARGE_3, MINISTRAL_3B} < seeing


def test_scripted_models_share_an_engine_if_they_share_a_tokenizer() -> None:
    first, second, *others = groups(build(kind="scripted"))

    assert (first, second) == ({SEVEN_B, MIXTRAL, BASE}, {SMALL, LARGE})
    assert {MINISTRAL_3B, LARGE_3} < others[-3]  # Magistral has a shorter context
    assert others[-1] == {VOXTRAL_MINI, VOXTRAL_SMALL}  # whose tokenizer takes audio


def test_models_with_the_same_weights_and_other_options_do_not_share(tmp_path: Path) -> None:
    text = DEFAULT_REGISTRY.read_text().replace(
        "mistralai/Mixtral-8x7B-Instruct-v0.1", "mistralai/Mistral-7B-Instruct-v0.2"
    )
    file = tmp_path / "registry.yaml"
    choice = EngineChoice(cache=CACHE)
    file.write_text(text)
    apart = build_engines(load_registry(file).models.values(), choice)
    file.write_text(text.replace("tensor_parallel_size: 2", "tensor_parallel_size: 1"))
    together = build_engines(load_registry(file).models.values(), choice)

    assert {SEVEN_B, MIXTRAL} not in groups(apart)
    assert {SEVEN_B, MIXTRAL} in groups(together)


def test_models_on_one_server_share_an_engine_if_all_else_is_alike(tmp_path: Path) -> None:
    text = DEFAULT_REGISTRY.read_text().replace(
        "mistralai/Mixtral-8x7B-Instruct-v0.1", "mistralai/Mistral-7B-Instruct-v0.2"
    )
    file = tmp_path / "registry.yaml"
    choice = EngineChoice(kind="remote", servers={"": "http://host:8000/v1"}, cache=CACHE)
    file.write_text(text)
    together = build_engines(load_registry(file).models.values(), choice)
    file.write_text(text.replace("    demo: moe\n", "    demo: moe\n    remote: {model: other}\n"))
    apart = build_engines(load_registry(file).models.values(), choice)

    assert {SEVEN_B, MIXTRAL} in groups(together)
    assert {SEVEN_B, MIXTRAL} not in groups(apart)


def test_where_a_model_is_served_must_be_known() -> None:
    models = load_registry(DEFAULT_REGISTRY).only([SEVEN_B]).models.values()
    with pytest.raises(EngineDead, match=f"no server is known for {SEVEN_B}: set --remote"):
        build_engines(models, EngineChoice(kind="remote", cache=CACHE))


def test_without_httpx_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "engine.remote.engine", None)
    models = load_registry(DEFAULT_REGISTRY).only([SEVEN_B]).models.values()
    with pytest.raises(EngineDead, match=r"install bedrock-invoke-api\[remote\]"):
        build_engines(models, EngineChoice(kind="remote", servers={"": "http://host"}, cache=CACHE))


def test_models_share_an_engine_on_demand_as_they_do_otherwise() -> None:
    assert groups(build(demo="tiny", max_loaded=1)) == groups(build(demo="tiny"))


async def test_on_demand_nothing_is_loaded_at_start() -> None:
    made = build(demo="tiny", max_loaded=1)
    made.start()
    await asyncio.sleep(0)

    assert {engine.state() for _, engine in made.items()} == {EngineState("cold", waiting=0)}
    await made.close()


async def test_engines_without_weights_need_no_place() -> None:
    made = build(kind="scripted", max_loaded=1)

    assert not any(engine.state().is_on_demand for _, engine in made.items())


class Line:
    """Engines that load when a test lets them, as those of vLLM are in a service."""

    def __init__(self, names: str, most_loading: int | None) -> None:
        self.stubs = {name: SwappedStub() for name in names}
        for stub in self.stubs.values():
            stub.may_load.clear()
        kept = {name: SupervisedEngine(stub, name) for name, stub in self.stubs.items()}
        self.plain = SwappedStub()  # no weights: a server elsewhere, or the scripted engine
        self.engines = Engines({**kept, "plain": self.plain}, most_loading=most_loading)

    async def loading(self) -> str:
        """Return the engines that have begun to load."""
        for _ in range(10):
            await asyncio.sleep(0)
        return "".join(name for name, stub in self.stubs.items() if stub.done)

    def finish(self, name: str, failure: str | None = None) -> None:
        self.stubs[name].failure = failure
        self.stubs[name].may_load.set()


async def test_the_first_engine_loads_alone_and_then_so_many_at_a_time_in_order() -> None:
    line = Line("abcd", most_loading=2)
    line.engines.start()
    seen = [await line.loading()]
    for name in "acbd":
        line.finish(name)
        seen.append(await line.loading())

    assert seen == ["a", "abc", "abcd", "abcd", "abcd"]
    assert line.plain.done == ["loads"], "it did not wait for its turn"
    assert line.engines.accept_calls()
    await line.engines.close()


async def test_all_load_at_once_where_nothing_is_said() -> None:
    line = Line("abc", most_loading=None)
    line.engines.start()

    assert await line.loading() == "abc"
    await line.engines.close()


async def test_an_engine_that_fails_gives_its_turn_to_the_next() -> None:
    line = Line("abc", most_loading=1)
    line.engines.start()
    line.finish("a", failure="no memory")

    assert await line.loading() == "ab"
    await line.engines.close()


async def test_an_engine_that_waits_for_its_turn_is_cold_and_not_ready() -> None:
    line = Line("ab", most_loading=1)
    line.engines.start()
    await line.loading()
    waiting = dict(line.engines.items())["b"]

    assert waiting.state() == EngineState("cold")
    assert not line.engines.accept_calls()
    with pytest.raises(EngineNotReady):
        waiting.tokenizer()
    await line.engines.close()
    assert line.stubs["b"].done == ["ends"], "it was not loaded for the end"


@pytest.mark.parametrize(
    ("demo", "on_cpu", "most"),
    [("tiny", True, count_processors()), ("smollm2", False, count_processors()), (None, True, 1)],
)
def test_on_a_cpu_and_with_demo_weights_few_load_at_a_time(
    monkeypatch: pytest.MonkeyPatch, *, demo: str | None, on_cpu: bool, most: int
) -> None:
    monkeypatch.setattr(engine_factory, "runs_on_cpu", lambda: on_cpu)

    assert most_loading(EngineChoice(demo=demo, cache=CACHE)) == most


def test_on_gpus_all_load_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_factory, "runs_on_cpu", lambda: False)

    assert most_loading(EngineChoice(cache=CACHE)) is None


def test_the_model_that_the_readme_calls_is_the_first_of_the_registry() -> None:
    [called, *_] = re.findall(r'modelId="(.+?)"', (ROOT / "README.md").read_text())

    assert called == README_MODEL == next(iter(load_registry(DEFAULT_REGISTRY).models))


def test_vllm_loads_the_readmes_model_before_any_other(
    demo_loading: tuple[str, list[dict[str, str]]],
) -> None:
    _, seen = demo_loading
    before = [statuses for statuses in seen if statuses[SEVEN_B] != "ready"]
    after = [statuses for statuses in seen if statuses[SEVEN_B] == "ready"]

    assert {statuses[SEVEN_B] for statuses in before} == {"loading"}
    assert {statuses[name] for statuses in before for name in OTHER_DEMOS} == {"cold"}
    assert {statuses[name] for statuses in after for name in OTHER_DEMOS} >= {"loading", "ready"}
