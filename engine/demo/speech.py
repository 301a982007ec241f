"""An audio encoder for a demo checkpoint: Voxtral's, small and random, in Mistral's layout."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.demo.layout import sizes
from engine.tokenization.mistral_files import carried

if TYPE_CHECKING:
    import torch

SPEECH_WIDTH = 64
SPEECH_LAYERS = 2
SPEECH_HEADS = 2
POSITIONS = 1_500  # 30 seconds of audio: 3,000 frames after a convolution of stride 2
POSITIONS_PER_TOKEN = 4
VOCABULARY_SIZE = 32_768  # a quarter of Voxtral's


def write_tokenizer(folder: Path) -> None:
    """Write Voxtral's tekken.json with fewer words; no other kind of tokenizer takes audio."""
    from engine.tokenization.tekken import AUDIO_MARKS, CARRIED_FILE, VOXTRAL_AUDIO, named_controls

    document = json.loads(carried(CARRIED_FILE).read_bytes())
    config = document["config"] | {"default_vocab_size": VOCABULARY_SIZE, "version": "v7"}
    spectrogram = asdict(VOXTRAL_AUDIO.encoding_config)
    own = {
        "config": config,
        "vocab": document["vocab"][: VOCABULARY_SIZE - config["default_num_special_tokens"]],
        "special_tokens": named_controls(AUDIO_MARKS),
        "audio": {
            "sampling_rate": VOXTRAL_AUDIO.sampling_rate,
            "frame_rate": VOXTRAL_AUDIO.frame_rate,
            "chunk_length_s": VOXTRAL_AUDIO.chunk_length_s,
            "audio_encoding_config": spectrogram,
        },
    }
    (folder / "tekken.json").write_text(json.dumps(own))


def params(config: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the language model's config.json to params.json."""
    from engine.tokenization.tekken import VOXTRAL_AUDIO

    spectrogram = {
        **asdict(VOXTRAL_AUDIO.encoding_config),
        "sampling_rate": VOXTRAL_AUDIO.sampling_rate,
    }
    encoder = {
        "audio_encoding_args": spectrogram,
        "dim": SPEECH_WIDTH,
        "n_layers": SPEECH_LAYERS,
        "head_dim": SPEECH_WIDTH // SPEECH_HEADS,
        "hidden_dim": 2 * SPEECH_WIDTH,
        "n_heads": SPEECH_HEADS,
        "vocab_size": 51_866,  # of Whisper's decoder, which is left out
        "max_source_positions": POSITIONS,
    }
    whisper = {
        "encoder_args": encoder,
        "downsample_args": {"downsample_factor": POSITIONS_PER_TOKEN},
    }
    return sizes(config) | {"multimodal": {"whisper_model_args": whisper}}


def add_audio_encoder(
    weights: Mapping[str, "torch.Tensor"], hidden: int, generator: "torch.Generator"
) -> dict[str, "torch.Tensor"]:
    """Return the weights of a language model of width `hidden` with those of the encoder."""
    import torch

    from engine.tokenization.tekken import VOXTRAL_AUDIO

    def matrix(rows: int, columns: int) -> torch.Tensor:
        return torch.randn(rows, columns, generator=generator) * columns**-0.5

    def line(rows: int, columns: int, name: str) -> dict[str, torch.Tensor]:
        return {f"{name}.weight": matrix(rows, columns), f"{name}.bias": torch.zeros(rows)}

    def norm(name: str) -> dict[str, torch.Tensor]:
        return {
            f"{name}.weight": torch.ones(SPEECH_WIDTH),
            f"{name}.bias": torch.zeros(SPEECH_WIDTH),
        }

    encoder = norm("transformer.norm")
    for number, channels in enumerate((VOXTRAL_AUDIO.encoding_config.num_mel_bins, SPEECH_WIDTH)):
        name = f"conv_layers.{number}"
        encoder[f"{name}.weight"] = matrix(SPEECH_WIDTH, 3 * channels).reshape(
            SPEECH_WIDTH, channels, 3
        )
        encoder[f"{name}.bias"] = torch.zeros(SPEECH_WIDTH)
    for number in range(SPEECH_LAYERS):
        layer = f"transformer.layers.{number}"
        encoder |= norm(f"{layer}.attention_norm") | norm(f"{layer}.ffn_norm")
        encoder |= line(2 * SPEECH_WIDTH, SPEECH_WIDTH, f"{layer}.feed_forward.w1")
        encoder |= line(SPEECH_WIDTH, 2 * SPEECH_WIDTH, f"{layer}.feed_forward.w2")
        for name in ("wq", "wv", "wo"):
            encoder |= line(SPEECH_WIDTH, SPEECH_WIDTH, f"{layer}.attention.{name}")
        encoder[f"{layer}.attention.wk.weight"] = matrix(SPEECH_WIDTH, SPEECH_WIDTH)  # no bias
    prefix = "mm_whisper_embeddings"
    adapter = {
        f"{prefix}.audio_language_projection.0.weight": matrix(
            hidden, POSITIONS_PER_TOKEN * SPEECH_WIDTH
        ),
        f"{prefix}.audio_language_projection.2.weight": matrix(hidden, hidden),
    }
    encoder_weights = {
        f"{prefix}.whisper_encoder.{name}": weight for name, weight in encoder.items()
    }
    return {**weights, **adapter, **encoder_weights}
