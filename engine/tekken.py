"""Mistral's Tekken tokenizers, of the models since 2025: from their weights, or a stand-in.

Imports mistral-common, and so is imported inside functions only.
"""

import json
from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from mistral_common.protocol.instruct.normalize import get_normalizer
from mistral_common.protocol.instruct.validator import ValidationMode, get_validator
from mistral_common.tokens.tokenizers.base import SpecialTokenPolicy, TokenizerVersion
from mistral_common.tokens.tokenizers.image import ImageConfig, ImageEncoder, SpecialImageIDs
from mistral_common.tokens.tokenizers.instruct import InstructTokenizerV13
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
from mistral_common.tokens.tokenizers.tekken import SpecialTokenInfo, Tekkenizer

from engine.chat import ChatTemplate
from engine.marks import TOOL_MARKS, Marks
from engine.mistral_files import carried

CARRIED = "tekken_240911.json"
# What the files of 2025 have beyond the control tokens of the carried one, at these ids. Guess:
# Mistral's own are gated; these are the ids that its published Devstral has. Their version, 13, is
# a guess, too: its calls have no ids, and a call recorded of Devstral counts as one without.
LATER = {32: "[ARGS]", 33: "[CALL_ID]", 34: "[THINK]", 35: "[/THINK]"}
# How they count images. Guess, likewise: as the published Mistral Small 3.1 does.
IMAGES = ImageConfig(image_patch_size=14, max_image_size=1540, spatial_merge_size=2)
IMAGE_MARKS = ("[IMG]", "[IMG_BREAK]", "[IMG_END]")


class TekkenTokenizer:
    """A vocabulary of 131,072 tokens. Building one takes about a second and 120 MB."""

    is_spaced = False

    def __init__(
        self, tekken: Tekkenizer, tokenizer: MistralTokenizer[Any, Any, Any, Any, Any]
    ) -> None:
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
        marks = {name: tekken.get_special_token(name) for name in TOOL_MARKS}
        self._marks = Marks(marks, self.encode_text)
        self.spelled = self._marks.spell(self.pieces)

    @cached_property
    def chat(self) -> ChatTemplate:
        return ChatTemplate(self._tokenizer, "arguments")

    def encode(self, text: str, *, enough: int | None = None) -> tuple[int, ...]:
        if enough is not None:
            text = text[: enough * self._longest]
        return (self.bos, *self.encode_text(text))

    def encode_text(self, text: str) -> list[int]:
        return self._tekken.encode(text, bos=False, eos=False)

    def encode_spelled(self, text: str) -> list[int]:
        return self._marks.encode(text)

    def to_prompt(self, tokens: Sequence[int]) -> str:
        kept = SpecialTokenPolicy.KEEP
        pieces = (self._tekken.id_to_byte_piece(token, kept) for token in tokens[1:])
        return b"".join(pieces).decode(errors="replace")


LOADING = Lock()  # calls that come at once do not each load what takes a second and 120 MB


def load_tekken(weights: str | None) -> TekkenTokenizer:
    """The tokenizer of these weights, a folder or a hub id; without them of the carried words.

    Loaded once. Raises `OSError` if there is none.
    """
    with LOADING:
        return _load(weights)


@cache
def _load(weights: str | None) -> TekkenTokenizer:
    if weights is not None:
        tokenizer = MistralTokenizer.from_file(_find(weights), mode=ValidationMode.serving)
        tekken = tokenizer.instruct_tokenizer.tokenizer
        assert isinstance(tekken, Tekkenizer), "a tekken.json makes a Tekkenizer"
        return TekkenTokenizer(tekken, tokenizer)
    document = json.loads(carried(CARRIED).read_bytes())
    known = list(Tekkenizer.DEPRECATED_SPECIAL_TOKENS)
    special = [
        *known,
        *(
            SpecialTokenInfo(
                rank=rank, token_str=LATER.get(rank, f"<SPECIAL_{rank}>"), is_control=True
            )
            for rank in range(len(known), max(LATER) + 1)
        ),
    ]
    config = document["config"]
    tekken = Tekkenizer(
        vocab=document["vocab"],
        special_tokens=special,
        pattern=config["pattern"],
        vocab_size=config["default_vocab_size"],
        num_special_tokens=config["default_num_special_tokens"],
        version=TokenizerVersion.v13,
    )
    marks = SpecialImageIDs(*(tekken.get_special_token(name) for name in IMAGE_MARKS))
    tokenizer = MistralTokenizer(
        InstructTokenizerV13(tekken, image_encoder=ImageEncoder(IMAGES, marks)),
        validator=get_validator(TokenizerVersion.v13, mode=ValidationMode.serving),
        request_normalizer=get_normalizer(TokenizerVersion.v13, None),
    )
    return TekkenTokenizer(tekken, tokenizer)


def _find(weights: str) -> Path:
    folder = Path(weights)
    if folder.is_dir():
        path = folder / "tekken.json"
        if not path.is_file():
            raise FileNotFoundError(f"there is no tekken.json in {folder}")
        return path
    from huggingface_hub import hf_hub_download

    # The newest, as vLLM fetches the weights that it belongs to: nothing pins it.
    found = hf_hub_download(weights, "tekken.json")  # nosec B615
    return Path(found)
