"""Messages of `check` and `serve` about a registry's LoRA adapters."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.lora import Adapter
from engine.vllm import options as vllm_options
from invoke_api.models.engine_factory import vllm_key
from invoke_api.models.registry import load_registry
from invoke_api.yaml_files import ConfigError
from tests.support.adapters import make_adapter
from tests.test_cli import run

LORA = {"enable_lora": True, "max_loras": 2}
MERGED = """\
models:
  - &base
    id: base
    name: Base
    dialect: imported
    tokenizer: v3
    context_length: 1024
    engine: scripted
    weights: ./weights
    demo: dense
    vllm: {enable_lora: true, max_loras: 2}
  - <<: *base
    id: tuned
    name: Tuned
    lora: {adapter: /adapters/support}
"""
on_vllm = pytest.mark.skipif(not vllm_options.is_installed(), reason="its options are looked up")


@pytest.fixture
def entry(tmp_path: Path) -> dict[str, Any]:
    """Return a model with a valid adapter of rank 64 that was trained on another base."""
    adapter = make_adapter(tmp_path / "adapter", rank=64, base_model_name_or_path="someone/else-7b")
    weights = tmp_path / "7b"
    weights.mkdir()
    for name in ("config.json", "model.safetensors"):
        (weights / name).write_text("{}")
    return {
        "id": "tuned",
        "name": "Tuned",
        "catalogued": False,
        "dialect": "imported",
        "tokenizer": "v3",
        "context_length": 1_024,
        "engine": "vllm",
        "weights": str(weights),
        "demo": "dense",
        "lora": {"adapter": str(adapter)},
        "vllm": {**LORA, "max_lora_rank": 64},
    }


def write(folder: Path, *models: dict[str, Any]) -> str:
    file = folder / "registry.yaml"
    file.write_text(json.dumps({"models": models}, indent=1))
    return str(file)


def test_an_adapter_may_take_the_rest_from_its_base(tmp_path: Path) -> None:
    file = tmp_path / "registry.yaml"
    file.write_text(MERGED)
    base, tuned = load_registry(file).models.values()

    assert tuned.adapter == Adapter("support", "/adapters/support")
    assert base.adapter is None
    assert vllm_key(base) == vllm_key(tuned)
    file.write_text(MERGED.replace("Tuned", "Tuned\n    name: Again"))
    with pytest.raises(ConfigError, match=r":15: duplicate key 'name'"):
        load_registry(file)
    file.write_text(MERGED.replace("Tuned", "''"))
    with pytest.raises(ConfigError, match=r":14: model 'tuned': name: '' should be non-empty"):
        load_registry(file)


def test_models_names_adapters(tmp_path: Path) -> None:
    file = tmp_path / "registry.yaml"
    file.write_text(MERGED)

    assert "./weights + support" in run("models", "--registry", str(file)).stdout


@on_vllm
def test_check_remarks_what_may_be_meant_otherwise(tmp_path: Path, entry: dict[str, Any]) -> None:
    base = {key: value for key, value in entry.items() if key not in ("lora", "vllm")}
    file = write(tmp_path, {**base, "id": "base"}, entry)
    done = run("check", "--registry", file)
    first, second, last = done.stdout.splitlines()

    assert first.startswith("tuned: its LoRA adapter was trained on someone/else-7b, not on /")
    assert second.startswith("tuned and base have the same weights and an engine each; to share")
    assert last.endswith("2 models, no mistakes")


@on_vllm
@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"vllm": {}}, "vLLM takes LoRA adapters only with enable_lora: true among its options"),
        ({"vllm": LORA}, "has rank 64, and max_lora_rank is 16; raise it"),
        ({"lora": {"adapter": "./none"}}, "there is no folder none of a LoRA adapter"),
        ({"lora": {"name": "tuned"}}, "name it with lora: {adapter: FOLDER}"),
        ({"lora": {}}, "lora: {} should be non-empty"),
        ({"lora": {"rank": 8}}, "lora: Additional properties are not allowed ('rank'"),
    ],
)
def test_check_names_what_is_wrong(
    tmp_path: Path, entry: dict[str, Any], more: dict[str, Any], sentence: str
) -> None:
    done = run("check", "--registry", write(tmp_path, {**entry, **more}))

    assert done.returncode == 1
    assert "model 'tuned': " in done.stderr
    assert sentence in done.stderr


@pytest.mark.skipif(not vllm_options.runs_on_cpu(), reason="so it is of vLLM on the CPU alone")
@pytest.mark.parametrize("command", [("check",), ("serve", "--port", "0")])
def test_adapters_on_the_cpu_leave_a_slot_free(
    tmp_path: Path, entry: dict[str, Any], command: tuple[str, ...]
) -> None:
    entry["vllm"]["max_loras"] = 1
    done = run(*command, "--registry", write(tmp_path, entry))

    assert done.returncode == 1
    assert "tuned: vLLM on the CPU mixes an adapter in its last slot into the" in done.stderr
    assert "set max_loras: 2 in its vllm options" in done.stderr
