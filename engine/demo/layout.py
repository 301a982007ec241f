"""Mistral's own layout of a checkpoint: what params.json says of the language model."""

from collections.abc import Mapping
from typing import Any

# The names of the language model's sizes, here and in Hugging Face's layout.
SIZES = {
    "dim": "hidden_size",
    "n_layers": "num_hidden_layers",
    "head_dim": "head_dim",
    "hidden_dim": "intermediate_size",
    "n_heads": "num_attention_heads",
    "n_kv_heads": "num_key_value_heads",
    "norm_eps": "rms_norm_eps",
    "rope_theta": "rope_theta",
    "vocab_size": "vocab_size",
    "max_position_embeddings": "max_position_embeddings",
    "dtype": "torch_dtype",
}


def sizes(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the language model's part of params.json, of its config.json."""
    return {name: config[key] for name, key in SIZES.items()}
