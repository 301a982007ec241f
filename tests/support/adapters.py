"""Random LoRA adapters for the dense demo checkpoint, in PEFT's format."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from engine.demo.checkpoints import HEAD_SIZE, HIDDEN_SIZE, NUM_HEADS, NUM_LAYERS

# The adapted projections, with the sizes of their inputs and outputs.
SIZES = {
    "q_proj": (HIDDEN_SIZE, NUM_HEADS * HEAD_SIZE),
    "o_proj": (NUM_HEADS * HEAD_SIZE, HIDDEN_SIZE),
}


def make_adapter(folder: Path, *, rank: int = 8, seed: int = 1, **config: Any) -> Path:
    """Write an adapter unless it exists; `config` has further keys of its configuration."""
    if folder.exists():
        return folder
    from safetensors.numpy import save_file  # noqa: PLC0415 - vLLM brings it

    generator = np.random.default_rng(seed)
    weights = {}
    for layer in range(NUM_LAYERS):
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
