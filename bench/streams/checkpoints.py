"""Checkpoints of the servers: the demo checkpoint, or a full-size network with random weights."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from engine.demo import options as demo
from engine.demo.checkpoints import CONTEXT_LENGTH, make_demo
from engine.tokenization.mistral_files import carried
from engine.tokenization.tokenizer import MISTRAL
from engine.vllm.dtype import instead_of_bfloat16
from engine.vllm.options import ENVIRONMENT, runs_on_cpu
from invoke_api.models.registry import DEFAULT_REGISTRY

MISTRAL_7B = "mistral.mistral-7b-instruct-v0:2"
MIXTRAL_8X7B = "mistral.mixtral-8x7b-instruct-v0:1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A checkpoint with vLLM's engine arguments and environment, the same for all servers.

    `serve` has the arguments of `invoke-api serve` that serve it as `model_id`. `tokenizer` is the
    tokenizer that Invoke API uses for it.
    """

    name: str
    folder: Path
    model_id: str
    tokenizer: str
    serve: tuple[str, ...]
    options: Mapping[str, Any]
    environment: Mapping[str, str] = field(default_factory=lambda: {**ENVIRONMENT, **os.environ})


def demo_checkpoint(cache: Path) -> Checkpoint:
    """Return the dense checkpoint of --demo tiny, with its options."""
    return Checkpoint(
        name="demo dense",
        folder=make_demo("dense", cache),
        model_id=MISTRAL_7B,
        tokenizer=demo.TOKENIZERS["v1"],
        serve=("--demo", "tiny", "--cache-dir", str(cache)),
        options={**demo.OPTIONS, "max_model_len": CONTEXT_LENGTH, **instead_of_bfloat16()},
        environment={**ENVIRONMENT, **os.environ, **demo.ENVIRONMENT, **demo.ONE_PROCESS},
    )


# config.json of Mistral-7B-Instruct-v0.2, as published.
CONFIG_7B = {
    "architectures": ["MistralForCausalLM"],
    "attention_dropout": 0.0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "hidden_act": "silu",
    "hidden_size": 4096,
    "initializer_range": 0.02,
    "intermediate_size": 14336,
    "max_position_embeddings": 32768,
    "model_type": "mistral",
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-05,
    "rope_theta": 1000000.0,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "use_cache": True,
    "vocab_size": 32000,
}
# config.json of Mixtral-8x7B-Instruct-v0.1: the same sizes, and eight experts a layer.
CONFIG_8X7B = {
    **CONFIG_7B,
    "architectures": ["MixtralForCausalLM"],
    "model_type": "mixtral",
    "num_experts_per_tok": 2,
    "num_local_experts": 8,
    "output_router_logits": False,
    "router_aux_loss_coef": 0.02,
}


@dataclass(frozen=True, slots=True)
class Model:
    title: str
    model_id: str
    config: Mapping[str, Any]


MODELS = {  # by the values of --model
    "mistral-7b": Model("Mistral 7B Instruct v0.2", MISTRAL_7B, CONFIG_7B),
    "mixtral-8x7b": Model("Mixtral 8x7B Instruct v0.1", MIXTRAL_8X7B, CONFIG_8X7B),
}


# Engine arguments of dummy weights with vLLM's build for the CPU, which would take all main memory
# for the KV cache, and compile for minutes.
ON_CPU = {"kv_cache_memory_bytes": 2**30, "enforce_eager": True}


def dummy_checkpoint(
    cache: Path,
    name: str,
    tensor_parallel: int = 1,
    layers: int | None = None,
    quantization: str | None = None,
) -> Checkpoint:
    """Write a full-size network whose weights vLLM draws at random when it starts.

    A small machine can use fewer `layers` than the model has.
    """
    model = MODELS[name]
    folder = cache / name
    folder.mkdir(parents=True)
    changes = {"num_hidden_layers": layers} if layers else {}
    (folder / "config.json").write_text(json.dumps({**model.config, **changes}, indent=1))
    (folder / "generation_config.json").write_text("{}")
    shutil.copy(carried(MISTRAL["v1"].file), folder)
    context: int = model.config["max_position_embeddings"]
    options = {
        "max_model_len": context,
        "load_format": "dummy",
        "dtype": "bfloat16",
        "tokenizer_mode": "mistral",
        "tensor_parallel_size": tensor_parallel,
        "gpu_memory_utilization": 0.9,
        **({"quantization": quantization} if quantization else {}),
        **(ON_CPU if runs_on_cpu() else {}),
    }
    kinds = [quantization, f"{layers} layers only" if layers else None]
    registry = write_registry(cache, model.model_id, folder, options, tokenizer="v1")
    return Checkpoint(
        name=", ".join([f"{model.title}, dummy weights", *filter(None, kinds)]),
        folder=folder,
        model_id=model.model_id,
        tokenizer="v1",
        serve=("--registry", str(registry)),
        options=options,
    )


def write_registry(
    cache: Path, model_id: str, folder: Path, options: Mapping[str, Any], *, tokenizer: str
) -> Path:
    """Write a registry of this model: the project's own entry with these weights and options."""
    entries = yaml.safe_load(DEFAULT_REGISTRY.read_text())["models"]
    entry = next(entry for entry in entries if entry["id"] == model_id)
    context = options["max_model_len"]  # context_length in the registry
    ours = {name: value for name, value in options.items() if name != "max_model_len"}
    written = {**entry, "weights": str(folder), "tokenizer": tokenizer, "vllm": ours}
    path = cache / "registry.yaml"
    path.write_text(yaml.safe_dump({"models": [{**written, "context_length": context}]}))
    return path
