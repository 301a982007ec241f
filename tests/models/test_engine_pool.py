"""Models that share an engine."""

import asyncio
import sys
from pathlib import Path

import pytest

from engine.errors import EngineDead
from engine.protocol import EngineState
from invoke_api.models.engine_factory import EngineChoice
from invoke_api.models.engine_pool import Engines, build_engines
from invoke_api.models.registry import DEFAULT_REGISTRY, load_registry
from tests.support.servers import (
    LARGE,
    LARGE_3,
    MINISTRAL_3B,
    MIXTRAL,
    SEVEN_B,
    SMALL,
    VOXTRAL_MINI,
    VOXTRAL_SMALL,
)

CACHE = Path("never-written")


def groups(engines: Engines) -> list[set[str]]:
    """Return the models of each engine."""
    by_engine: dict[int, set[str]] = {}
    for model_id, engine in engines.items():
        by_engine.setdefault(id(engine), set()).add(model_id)
    return list(by_engine.values())


def build(*, kind: str | None = None, demo: bool = False, max_loaded: int | None = None) -> Engines:
    models = load_registry(DEFAULT_REGISTRY).models.values()
    choice = EngineChoice(kind=kind, demo=demo, max_loaded=max_loaded, cache=CACHE)
    return build_engines(models, choice)


def test_each_of_the_shipped_models_has_weights_of_its_own() -> None:
    made = build()

    assert groups(made) == [{model_id} for model_id, _ in made.items()]


def test_models_share_a_demo_checkpoint_but_mixtral_and_those_that_see_or_hear() -> None:
    made = build(demo=True)
    models = load_registry(DEFAULT_REGISTRY).models
    seeing = {model_id for model_id, model in models.items() if model.listing.sees}

    hearing = {model_id for model_id, model in models.items() if model.listing.hears}

    text_only = models.keys() - {MIXTRAL} - seeing - hearing
    assert groups(made) == [text_only, {MIXTRAL}, seeing, hearing]
    assert {LARGE_3, MINISTRAL_3B} < seeing


def test_scripted_models_share_an_engine_if_they_share_a_tokenizer() -> None:
    first, second, *others = groups(build(kind="scripted"))

    assert (first, second) == ({SEVEN_B, MIXTRAL}, {SMALL, LARGE})
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
    choice = EngineChoice(kind="remote", remote="http://host:8000/v1", cache=CACHE)
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
    with pytest.raises(EngineDead, match=r"install invoke-api\[remote\]"):
        build_engines(models, EngineChoice(kind="remote", remote="http://host", cache=CACHE))


def test_models_share_an_engine_on_demand_as_they_do_otherwise() -> None:
    assert groups(build(demo=True, max_loaded=1)) == groups(build(demo=True))


async def test_on_demand_nothing_is_loaded_at_start() -> None:
    made = build(demo=True, max_loaded=1)
    made.start()
    await asyncio.sleep(0)

    assert {engine.state() for _, engine in made.items()} == {EngineState("cold", waiting=0)}
    await made.close()


async def test_engines_without_weights_need_no_place() -> None:
    made = build(kind="scripted", max_loaded=1)

    assert not any(engine.state().is_on_demand for _, engine in made.items())
