"""Random LoRA adapters for the dense demo checkpoint, in PEFT's format."""

import json
from pathlib import Path
from typing import Any

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
    import torch  # noqa: PLC0415 - it takes seconds
    from safetensors.torch import save_file  # noqa: PLC0415 - the same

    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for layer in range(NUM_LAYERS):
        for name, (takes, gives) in SIZES.items():
            place = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            weights[f"{place}.lora_A.weight"] = torch.randn(rank, takes, generator=generator)
            weights[f"{place}.lora_B.weight"] = torch.randn(gives, rank, generator=generator)
    folder.mkdir(parents=True)
    save_file(weights, folder / "adapter_model.safetensors")
    document = {"peft_type": "LORA", "r": rank, "lora_alpha": 16, "target_modules": [*SIZES]}
    (folder / "adapter_config.json").write_text(json.dumps({**document, "bias": "none", **config}))
    return folder
