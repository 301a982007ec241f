"""Checks of a LoRA adapter's folder before vLLM loads it."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from engine.lora import Adapter, find_other_base, find_problem

LORA = MappingProxyType({"enable_lora": True})


def folder_of(path: Path, config: object, weights: str = "adapter_model.safetensors") -> Adapter:
    path.mkdir()
    (path / weights).touch()
    text = config if isinstance(config, str) else json.dumps(config)
    (path / "adapter_config.json").write_text(text)
    return Adapter("tuned", str(path))


@pytest.mark.parametrize(
    ("config", "options", "sentence"),
    [
        ({"r": 16}, LORA, None),
        ({"r": 32}, {**LORA, "max_lora_rank": 32}, None),
        ({"r": 8, "rank_pattern": {}}, LORA, None),
        ({"r": 16}, {}, "only with enable_lora: true among its options"),
        ({"r": 32}, LORA, "has rank 32, and max_lora_rank is 16; raise it"),
        ({"r": 8, "rank_pattern": {"q_proj": 64}}, LORA, "has rank 64"),
        ({}, LORA, "adapter_config.json is not a valid LoRA configuration: KeyError('r')"),
        ([], LORA, "is not a valid LoRA configuration"),
        ("{", LORA, "is not a valid LoRA configuration"),
        ({"r": "8"}, LORA, "is not a valid LoRA configuration"),
    ],
)
def test_a_configuration_is_read(
    tmp_path: Path, config: object, options: Mapping[str, Any], sentence: str | None
) -> None:
    found = find_problem(folder_of(tmp_path / "a", config), options)

    assert found is None if sentence is None else sentence in str(found)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    no_config = tmp_path / "no-config"
    no_config.mkdir()
    (no_config / "adapter_model.bin").touch()
    for adapter, sentence in (
        (Adapter("tuned"), "name it with lora: {adapter: FOLDER}"),
        (Adapter("tuned", str(tmp_path / "none")), "there is no folder"),
        (Adapter("tuned", str(empty)), "has no adapter (adapter_model.safetensors, "),
        (Adapter("tuned", str(no_config)), "has no adapter_config.json, so it holds no LoRA"),
    ):
        assert sentence in str(find_problem(adapter, LORA))


@pytest.mark.parametrize(
    ("base", "weights", "other"),
    [
        ("mistralai/Mistral-7B-Instruct-v0.3", "/models/mistral-7b-instruct-v0.3", None),
        ("/home/me/mixtral/", "/models/mistral-7b", "/home/me/mixtral/"),
        ("", "/models/mistral-7b", None),
        (None, "/models/mistral-7b", None),
    ],
)
def test_another_base_is_told_by_its_name(
    tmp_path: Path, base: str | None, weights: str, other: str | None
) -> None:
    adapter = folder_of(tmp_path / "a", {"r": 8, "base_model_name_or_path": base})

    assert find_other_base(adapter, weights) == other
    assert find_other_base(Adapter("tuned"), weights) is None
