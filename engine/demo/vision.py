"""Eyes for a demo checkpoint: Pixtral's encoder, small and random, in Mistral's own layout."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.demo.layout import sizes

if TYPE_CHECKING:
    import torch

WIDTH = 64
LAYERS = 2
HEADS = 2
# As the images of tokenizer v7 are counted, in pixels, and the token that stands for a patch.
PATCH = 16
LARGEST = 1_024
PATCH_TOKEN = 10


def params(config: Mapping[str, Any]) -> dict[str, Any]:
    """What params.json says, of the config.json of the language model."""
    encoder = {
        "hidden_size": WIDTH,
        "num_channels": 3,
        "image_size": LARGEST,
        "patch_size": PATCH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "rope_theta": 10_000.0,
        "image_token_id": PATCH_TOKEN,
    }
    return sizes(config) | {"vision_encoder": encoder}


def with_eyes(
    weights: Mapping[str, "torch.Tensor"], hidden: int, generator: "torch.Generator"
) -> dict[str, "torch.Tensor"]:
    """The weights of a language model of this width, with those of the encoder."""
    import torch

    def matrix(rows: int, columns: int) -> torch.Tensor:
        return torch.randn(rows, columns, generator=generator) * columns**-0.5

    seeing = {
        "vision_encoder.patch_conv.weight": matrix(WIDTH, 3 * PATCH * PATCH).reshape(
            WIDTH, 3, PATCH, PATCH
        ),
        "vision_encoder.ln_pre.weight": torch.ones(WIDTH),
        "vision_language_adapter.w_in.weight": matrix(hidden, WIDTH),
        "vision_language_adapter.w_in.bias": torch.zeros(hidden),
        "vision_language_adapter.w_out.weight": matrix(hidden, hidden),
        "vision_language_adapter.w_out.bias": torch.zeros(hidden),
    }
    for number in range(LAYERS):
        layer = f"vision_encoder.transformer.layers.{number}"
        seeing |= {
            f"{layer}.attention_norm.weight": torch.ones(WIDTH),
            f"{layer}.ffn_norm.weight": torch.ones(WIDTH),
            f"{layer}.feed_forward.w1.weight": matrix(2 * WIDTH, WIDTH),
            f"{layer}.feed_forward.w2.weight": matrix(WIDTH, 2 * WIDTH),
            f"{layer}.feed_forward.w3.weight": matrix(2 * WIDTH, WIDTH),
        }
        for name in ("wq", "wk", "wv", "wo"):
            seeing[f"{layer}.attention.{name}.weight"] = matrix(WIDTH, WIDTH)
    return {f"language_model.{name}": weight for name, weight in weights.items()} | seeing
