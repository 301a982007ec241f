"""Mistral's Tekken tokenizers, from a model's weights or from mistral-common's vocabulary.

This module imports mistral-common; import it inside functions only.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import NamedTuple

from mistral_common.tokens.tokenizers.audio import AudioConfig, AudioSpectrogramConfig
from mistral_common.tokens.tokenizers.base import SpecialTokenPolicy, TokenizerVersion
from mistral_common.tokens.tokenizers.image import ImageConfig, ImageEncoder, SpecialImageIDs
from mistral_common.tokens.tokenizers.mistral import load_audio_encoder, load_image_encoder
from mistral_common.tokens.tokenizers.tekken import SpecialTokenInfo, Tekkenizer

from engine.tokenization.chat_template import ChatTemplate
from engine.tokenization.chat_tokenizers import AnyTokenizer, assemble
from engine.tokenization.control_tokens import TOOL_CONTROL_TOKENS, ControlTokens
from engine.tokenization.mistral_files import carried

CARRIED_FILE = "tekken_240911.json"
# Further control tokens of the files of 2025, by their ids. Guess: Mistral's files are gated; its
# published Devstral has these ids. Version 13 is a guess, too: its calls have no ids, and the token
# count of a recorded call of Devstral matches that.
LATER_CONTROL_TOKENS = {32: "[ARGS]", 33: "[CALL_ID]", 34: "[THINK]", 35: "[/THINK]"}
# Guess: images count as for the published Mistral Small 3.1.
IMAGE_CONFIG = ImageConfig(image_patch_size=14, max_image_size=1540, spatial_merge_size=2)
IMAGE_MARKS = ("[IMG]", "[IMG_BREAK]", "[IMG_END]")
# Voxtral: mistral-common's own tests pin its file as v7. The ids are from transformers' tokenizer,
# the numbers from its feature extractor.
AUDIO_MARKS = {24: "[AUDIO]", 25: "[BEGIN_AUDIO]", 34: "[TRANSCRIBE]"}
VOXTRAL_AUDIO = AudioConfig(
    sampling_rate=16_000,
    frame_rate=12.5,
    encoding_config=AudioSpectrogramConfig(num_mel_bins=128, hop_length=160, window_size=400),
    chunk_length_s=30.0,
)


class CarriedTokenizer(NamedTuple):
    """A tokenizer with the vocabulary in mistral-common and further control tokens by id."""

    version: TokenizerVersion
    controls: Mapping[int, str]
    image: ImageConfig | None = None
    audio: AudioConfig | None = None


# By the names in the registry.
CARRIED_TOKENIZERS: Mapping[str, CarriedTokenizer] = MappingProxyType(
    {
        "tekken": CarriedTokenizer(TokenizerVersion.v13, LATER_CONTROL_TOKENS, image=IMAGE_CONFIG),
        "tekken-v7": CarriedTokenizer(TokenizerVersion.v7, AUDIO_MARKS, audio=VOXTRAL_AUDIO),
    }
)


class TekkenTokenizer:
    """A tokenizer of 131,072 tokens. Its creation takes about a second and 120 MB."""

    is_spaced = False

    def __init__(self, tekken: Tekkenizer, tokenizer: AnyTokenizer) -> None:
        self._tekken = tekken
        self._tokenizer = tokenizer
        self.bos: int = tekken.bos_id
        self.eos: int = tekken.eos_id
        special = tekken.num_special_tokens
        self.pieces = tuple(
            b"" if token < special else tekken.id_to_byte_piece(token)
            for token in range(tekken.n_words)
        )
        self._longest = max(map(len, self.pieces))
        controls = {
            name: tekken.get_special_token(name)
            for name in TOOL_CONTROL_TOKENS
            if tekken.is_special(name)
        }
        self._controls = ControlTokens(controls, self.encode_text)
        self.spelled = self._controls.spell(self.pieces)

    @cached_property
    def chat(self) -> ChatTemplate:
        is_older = self._tekken.version < TokenizerVersion.v11
        return ChatTemplate(self._tokenizer, "list" if is_older else "arguments")

    def encode(self, text: str, *, enough: int | None = None) -> tuple[int, ...]:
        if enough is not None:
            text = text[: enough * self._longest]
        return (self.bos, *self.encode_text(text))

    def encode_text(self, text: str) -> list[int]:
        return self._tekken.encode(text, bos=False, eos=False)

    def encode_spelled(self, text: str) -> list[int]:
        return self._controls.encode(text)

    def to_prompt(self, tokens: Sequence[int]) -> str:
        kept = SpecialTokenPolicy.KEEP
        pieces = (self._tekken.id_to_byte_piece(token, kept) for token in tokens[1:])
        return b"".join(pieces).decode(errors="replace")


LOADING = Lock()  # so that simultaneous calls load a tokenizer once


def load_tekken(name: str, weights: str | None) -> TekkenTokenizer:
    """Return the tokenizer of the weights, a folder or a hub id. Each is loaded only once.

    Without weights, return the tokenizer of mistral-common's vocabulary by its name in
    `CARRIED_TOKENIZERS`. Raises `OSError` if the file is missing.
    """
    with LOADING:
        return _carried_tokenizer(name) if weights is None else _of_weights(weights)


@cache
def _of_weights(weights: str) -> TekkenTokenizer:
    tekken = Tekkenizer.from_file(_find(weights))
    image, audio = tekken.image, tekken.audio
    return TekkenTokenizer(
        tekken,
        assemble(
            tekken,
            load_image_encoder(image, tekken) if image else None,
            load_audio_encoder(audio, tekken) if audio else None,
        ),
    )


@cache
def _carried_tokenizer(name: str) -> TekkenTokenizer:
    wanted = CARRIED_TOKENIZERS[name]
    document = json.loads(carried(CARRIED_FILE).read_bytes())
    config = document["config"]
    tekken = Tekkenizer(
        vocab=document["vocab"],
        special_tokens=named_controls(wanted.controls),
        pattern=config["pattern"],
        vocab_size=config["default_vocab_size"],
        num_special_tokens=config["default_num_special_tokens"],
        version=wanted.version,
    )
    marks = SpecialImageIDs(*(tekken.get_special_token(name) for name in IMAGE_MARKS))
    tokenizer = assemble(
        tekken,
        ImageEncoder(wanted.image, marks) if wanted.image else None,
        load_audio_encoder(wanted.audio, tekken) if wanted.audio else None,
    )
    return TekkenTokenizer(tekken, tokenizer)


def named_controls(controls: Mapping[int, str]) -> list[SpecialTokenInfo]:
    """Return the common control tokens, those in `controls`, and placeholders in between."""
    known = list(Tekkenizer.DEPRECATED_SPECIAL_TOKENS)
    later = range(len(known), max(controls) + 1)
    names = [(rank, controls.get(rank, f"<SPECIAL_{rank}>")) for rank in later]
    return known + [
        SpecialTokenInfo(rank=rank, token_str=name, is_control=True) for rank, name in names
    ]


def _find(weights: str) -> Path:
    folder = Path(weights)
    if folder.is_dir():
        path = folder / "tekken.json"
        if not path.is_file():
            raise FileNotFoundError(f"there is no tekken.json in {folder}")
        return path
    from huggingface_hub import hf_hub_download

    # The newest revision, as vLLM downloads the weights.
    found = hf_hub_download(weights, "tekken.json")  # nosec B615
    return Path(found)
