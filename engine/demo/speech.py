"""Ears for a demo checkpoint: Voxtral's encoder, small and random, in Mistral's own layout."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.demo.layout import sizes
from engine.tokenization.mistral_files import carried

if TYPE_CHECKING:
    import torch

WIDTH = 64
LAYERS = 2
HEADS = 2
POSITIONS = 1_500  # of 30 seconds of audio, 3,000 frames, behind a convolution of stride 2
JOINED = 4  # positions that make a token
WORDS = 32_768  # of the tokenizer: a fourth of Voxtral's


def write_tokenizer(folder: Path) -> None:
    """Write Voxtral's tekken.json with fewer words; no other kind of tokenizer takes audio."""
    from engine.tokenization.tekken import AUDIO, AUDIO_MARKS, CARRIED, named_controls

    document = json.loads(carried(CARRIED).read_bytes())
    config = document["config"] | {"default_vocab_size": WORDS, "version": "v7"}
    spectrogram = asdict(AUDIO.encoding_config)
    own = {
        "config": config,
        "vocab": document["vocab"][: WORDS - config["default_num_special_tokens"]],
        "special_tokens": named_controls(AUDIO_MARKS),
        "audio": {
            "sampling_rate": AUDIO.sampling_rate,
            "frame_rate": AUDIO.frame_rate,
            "chunk_length_s": AUDIO.chunk_length_s,
            "audio_encoding_config": spectrogram,
        },
    }
    (folder / "tekken.json").write_text(json.dumps(own))


def params(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return params.json, of the config.json of the language model."""
    from engine.tokenization.tekken import AUDIO

    spectrogram = {**asdict(AUDIO.encoding_config), "sampling_rate": AUDIO.sampling_rate}
    encoder = {
        "audio_encoding_args": spectrogram,
        "dim": WIDTH,
        "n_layers": LAYERS,
        "head_dim": WIDTH // HEADS,
        "hidden_dim": 2 * WIDTH,
        "n_heads": HEADS,
        "vocab_size": 51_866,  # of Whisper's decoder, which is not there
        "max_source_positions": POSITIONS,
    }
    whisper = {"encoder_args": encoder, "downsample_args": {"downsample_factor": JOINED}}
    return sizes(config) | {"multimodal": {"whisper_model_args": whisper}}


def with_ears(
    weights: Mapping[str, "torch.Tensor"], hidden: int, generator: "torch.Generator"
) -> dict[str, "torch.Tensor"]:
    """Return the weights of a language model of this width, with those of the encoder."""
    import torch

    from engine.tokenization.tekken import AUDIO

    def matrix(rows: int, columns: int) -> torch.Tensor:
        return torch.randn(rows, columns, generator=generator) * columns**-0.5

    def line(rows: int, columns: int, name: str) -> dict[str, torch.Tensor]:
        return {f"{name}.weight": matrix(rows, columns), f"{name}.bias": torch.zeros(rows)}

    def norm(name: str) -> dict[str, torch.Tensor]:
        return {f"{name}.weight": torch.ones(WIDTH), f"{name}.bias": torch.zeros(WIDTH)}

    encoder = norm("transformer.norm")
    for number, channels in enumerate((AUDIO.encoding_config.num_mel_bins, WIDTH)):
        name = f"conv_layers.{number}"
        encoder[f"{name}.weight"] = matrix(WIDTH, 3 * channels).reshape(WIDTH, channels, 3)
        encoder[f"{name}.bias"] = torch.zeros(WIDTH)
    for number in range(LAYERS):
        layer = f"transformer.layers.{number}"
        encoder |= norm(f"{layer}.attention_norm") | norm(f"{layer}.ffn_norm")
        encoder |= line(2 * WIDTH, WIDTH, f"{layer}.feed_forward.w1")
        encoder |= line(WIDTH, 2 * WIDTH, f"{layer}.feed_forward.w2")
        for name in ("wq", "wv", "wo"):
            encoder |= line(WIDTH, WIDTH, f"{layer}.attention.{name}")
        encoder[f"{layer}.attention.wk.weight"] = matrix(WIDTH, WIDTH)  # which has no bias
    ears = "mm_whisper_embeddings"
    adapter = {
        f"{ears}.audio_language_projection.0.weight": matrix(hidden, JOINED * WIDTH),
        f"{ears}.audio_language_projection.2.weight": matrix(hidden, hidden),
    }
    heard = {f"{ears}.whisper_encoder.{name}": weight for name, weight in encoder.items()}
    return {**weights, **adapter, **heard}
