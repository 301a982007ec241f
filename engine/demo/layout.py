"""Mistral's own checkpoint layout: the language model's sizes in params.json."""

from collections.abc import Mapping
from typing import Any

# Names in params.json, and in Hugging Face's config.json.
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
    """Convert a config.json to the language model's part of params.json."""
    return {name: config[key] for name, key in SIZES.items()}
