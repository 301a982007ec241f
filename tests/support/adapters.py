"""LoRA adapters of the dense demo checkpoint, as PEFT writes them: random, and so never silent."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from engine.demo.checkpoints import HEAD_SIZE, HEADS, HIDDEN, LAYERS

# The projections that are adapted, and how many values they take and give.
SIZES = {"q_proj": (HIDDEN, HEADS * HEAD_SIZE), "o_proj": (HEADS * HEAD_SIZE, HIDDEN)}


def make_adapter(folder: Path, *, rank: int = 8, seed: int = 1, **config: Any) -> Path:
    """Write an adapter unless it is there; `config` are more keys of its configuration."""
    if folder.exists():
        return folder
    from safetensors.numpy import save_file  # noqa: PLC0415 - vLLM brings it

    generator = np.random.default_rng(seed)
    weights = {}
    for layer in range(LAYERS):
        for name, (takes, gives) in SIZES.items():
            place = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            for matrix, shape in (("A", (rank, takes)), ("B", (gives, rank))):
                values = generator.standard_normal(shape, dtype=np.float32)
                weights[f"{place}.lora_{matrix}.weight"] = values
    folder.mkdir(parents=True)
    save_file(weights, folder / "adapter_model.safetensors")
    document = {"peft_type": "LORA", "r": rank, "lora_alpha": 16, "target_modules": [*SIZES]}
    (folder / "adapter_config.json").write_text(json.dumps({**document, "bias": "none", **config}))
    return folder
