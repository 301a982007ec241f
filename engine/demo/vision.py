"""An image encoder for a demo checkpoint: Pixtral's, small and random, in Mistral's layout."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.demo.layout import sizes

if TYPE_CHECKING:
    import torch

VISION_WIDTH = 64
VISION_LAYERS = 2
VISION_HEADS = 2
# Tokenizer v7 counts images by these sizes in pixels and this token id of a patch.
PATCH_SIDE = 16
MAX_IMAGE_SIDE = 1_024
PATCH_TOKEN = 10


def params(config: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the language model's config.json to params.json."""
    encoder = {
        "hidden_size": VISION_WIDTH,
        "num_channels": 3,
        "image_size": MAX_IMAGE_SIDE,
        "patch_size": PATCH_SIDE,
        "intermediate_size": 2 * VISION_WIDTH,
        "num_hidden_layers": VISION_LAYERS,
        "num_attention_heads": VISION_HEADS,
        "rope_theta": 10_000.0,
        "image_token_id": PATCH_TOKEN,
    }
    return sizes(config) | {"vision_encoder": encoder}


def add_image_encoder(
    weights: Mapping[str, "torch.Tensor"], hidden: int, generator: "torch.Generator"
) -> dict[str, "torch.Tensor"]:
    """Return the weights of a language model of width `hidden` with those of the encoder."""
    import torch

    def matrix(rows: int, columns: int) -> torch.Tensor:
        return torch.randn(rows, columns, generator=generator) * columns**-0.5

    seeing = {
        "vision_encoder.patch_conv.weight": matrix(
            VISION_WIDTH, 3 * PATCH_SIDE * PATCH_SIDE
        ).reshape(VISION_WIDTH, 3, PATCH_SIDE, PATCH_SIDE),
        "vision_encoder.ln_pre.weight": torch.ones(VISION_WIDTH),
        "vision_language_adapter.w_in.weight": matrix(hidden, VISION_WIDTH),
        "vision_language_adapter.w_in.bias": torch.zeros(hidden),
        "vision_language_adapter.w_out.weight": matrix(hidden, hidden),
        "vision_language_adapter.w_out.bias": torch.zeros(hidden),
    }
    for number in range(VISION_LAYERS):
        layer = f"vision_encoder.transformer.layers.{number}"
        seeing |= {
            f"{layer}.attention_norm.weight": torch.ones(VISION_WIDTH),
            f"{layer}.ffn_norm.weight": torch.ones(VISION_WIDTH),
            f"{layer}.feed_forward.w1.weight": matrix(2 * VISION_WIDTH, VISION_WIDTH),
            f"{layer}.feed_forward.w2.weight": matrix(VISION_WIDTH, 2 * VISION_WIDTH),
            f"{layer}.feed_forward.w3.weight": matrix(2 * VISION_WIDTH, VISION_WIDTH),
        }
        for name in ("wq", "wk", "wv", "wo"):
            seeing[f"{layer}.attention.{name}.weight"] = matrix(VISION_WIDTH, VISION_WIDTH)
    return {f"language_model.{name}": weight for name, weight in weights.items()} | seeing
