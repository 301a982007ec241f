"""The demo checkpoints: real architectures, reproducible, written once."""

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from engine.demo.checkpoints import DEMOS, ENDLESS_WORDS, followers, make_demo
from engine.tokenization.tokenizer import load_tokenizer

# torch warns of its own deprecations.
pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("default")]


def weights_in(folder: Path) -> Path:
    [file] = folder.glob("*.safetensors")
    return file


@pytest.fixture(scope="module", params=["dense", "moe"])
def folder(request: pytest.FixtureRequest, checkpoints: Path) -> Path:
    return make_demo(request.param, checkpoints)


def config_of(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return config


def test_they_have_mistrals_vocabulary_and_grouped_query_attention(folder: Path) -> None:
    config = config_of(folder)

    assert config["vocab_size"] == (32_768 if folder.name.startswith("dense") else 32_000)
    assert config["num_key_value_heads"] < config["num_attention_heads"]
    assert config["head_dim"] == 64  # FlashAttention's kernels need a multiple of 32


def test_one_is_dense_and_one_has_eight_experts_of_which_two_speak(checkpoints: Path) -> None:
    dense, moe = (config_of(make_demo(name, checkpoints)) for name in ("dense", "moe"))

    assert dense["architectures"] == ["MistralForCausalLM"]
    assert moe["architectures"] == ["MixtralForCausalLM"]
    assert (moe["num_local_experts"], moe["num_experts_per_tok"]) == (8, 2)


def test_the_weights_have_the_shapes_that_the_config_says(folder: Path) -> None:
    config = config_of(folder)
    with safe_open(weights_in(folder), framework="pt") as weights:
        shapes = {name: weights.get_slice(name).get_shape() for name in weights.keys()}  # noqa: SIM118 - no mapping
    experts = [name for name in shapes if ".experts." in name]

    assert shapes["lm_head.weight"] == [config["vocab_size"], config["hidden_size"]]
    assert shapes["model.layers.0.self_attn.k_proj.weight"] == [
        config["num_key_value_heads"] * config["head_dim"],
        config["hidden_size"],
    ]
    assert len(experts) == 3 * config.get("num_local_experts", 0) * config["num_hidden_layers"]


def test_one_sees_and_is_written_as_mistral_writes(checkpoints: Path) -> None:
    folder = make_demo("vision", checkpoints)
    params = json.loads((folder / "params.json").read_text())
    with safe_open(weights_in(folder), framework="pt") as weights:
        names = {name.partition(".")[0] for name in weights.keys()}  # noqa: SIM118 - no mapping

    assert names == {"language_model", "vision_encoder", "vision_language_adapter"}
    assert params["vision_encoder"]["image_token_id"] == 10
    assert params["n_kv_heads"] < params["n_heads"]
    assert params["vocab_size"] == 32_768


@pytest.mark.parametrize("name", DEMOS)
def test_they_are_seeded_and_made_once(name: str, checkpoints: Path, tmp_path: Path) -> None:
    folder, again = make_demo(name, checkpoints), make_demo(name, tmp_path)
    made = weights_in(again).stat().st_mtime_ns

    assert weights_in(again).read_bytes() == weights_in(folder).read_bytes()
    assert make_demo(name, tmp_path) == again
    assert weights_in(again).stat().st_mtime_ns == made
    assert [path.name for path in again.parent.iterdir()] == [again.name]


def test_what_may_follow_a_token_is_certain_in_sum() -> None:
    tokenizer = load_tokenizer("v1")
    table = followers(tokenizer)
    left, right = (tokenizer.encode_text(word)[0] for word in ENDLESS_WORDS)

    assert all(abs(sum(after.values()) - 1) < 1e-9 for after in table.values())
    assert table[left] == {right: 1.0}
    assert table[right] == {left: 1.0}
    assert sum(tokenizer.eos in after for after in table.values()) == 1
