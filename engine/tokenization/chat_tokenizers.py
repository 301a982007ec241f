"""mistral-common's tokenizers of conversations, without work that is not needed here.

mistral-common (1.13) decodes each prompt again for debugging, which takes half of the time, and
decodes images and audio. Here these are only counted; workers decode them. This module imports
mistral-common; import it inside functions only.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mistral_common.protocol.instruct.normalize import get_normalizer
from mistral_common.protocol.instruct.validator import ValidationMode, get_validator
from mistral_common.tokens.tokenizers import instruct
from mistral_common.tokens.tokenizers.audio import AudioEncoder
from mistral_common.tokens.tokenizers.base import Tokenized, Tokenizer, TokenizerVersion
from mistral_common.tokens.tokenizers.image import ImageEncoder
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer, load_image_encoder
from mistral_common.tokens.tokenizers.sentencepiece import (
    SentencePieceTokenizer,
    get_image_config,
)

from engine.tokenization.audio import CountingAudio
from engine.tokenization.images import CountingEncoder

AnyTokenizer = MistralTokenizer[Any, Any, Any, Any, Any]


class ToolResultsV2(instruct.InstructTokenizerV2[Any, Any, Any]):
    """A tokenizer of version 2 that takes several tool results in one turn, as Bedrock does."""

    def encode_instruct(self, request: Any) -> Tokenized:  # noqa: ANN401 - mistral-common's
        """Encode as version 2 does, without its check for a second result."""
        return super(instruct.InstructTokenizerV2, self).encode_instruct(request)


class NoDecoding:
    """A mixin of tokenizers that does not decode prompts."""

    def decode(self, *_: object, **__: object) -> str:
        """Return no text, because decoding takes as long as encoding."""
        return ""


class WordTokenizer(SentencePieceTokenizer):
    """A SentencePiece tokenizer of messages with a cache of words.

    `encode_rest` returns the tokens of a text that follows other text, like `WordCache.encode`.
    """

    def __init__(self, file: Path, encode_rest: Callable[[str], list[int]]) -> None:
        super().__init__(file)
        self._encode_rest = encode_rest

    def encode(self, s: str, bos: bool, eos: bool) -> list[int]:  # noqa: FBT001 - mistral-common's
        """Return the tokens. SentencePiece adds a space before a text unless it is empty."""
        tokens = self._encode_rest(" " + s) if s else []
        return [self.bos_id] * bos + tokens + [self.eos_id] * eos


def assemble(
    tokenizer: Tokenizer, image: ImageEncoder | None = None, audio: AudioEncoder | None = None
) -> AnyTokenizer:
    """Return the tokenizer of conversations of this version; images and audio are only counted."""
    version: TokenizerVersion = tokenizer.version
    known = getattr(instruct, f"InstructTokenizer{version.value.upper()}")
    if version == TokenizerVersion.v2:
        known = ToolResultsV2
    own: Any = type(known.__name__, (NoDecoding, known), {})
    return MistralTokenizer(
        own(
            tokenizer,
            image_encoder=image and CountingEncoder(image.image_config, image.special_ids),
            audio_encoder=audio and CountingAudio(audio.audio_config, audio.special_ids),
        ),
        validator=get_validator(version, mode=ValidationMode.serving),
        request_normalizer=get_normalizer(version, tokenizer.model_settings_builder),
    )


def load_sentencepiece(file: Path, encode_rest: Callable[[str], list[int]]) -> AnyTokenizer:
    """Return the tokenizer of conversations of a SentencePiece file, whose name has its version."""
    tokenizer = WordTokenizer(file, encode_rest)
    config = get_image_config(file)
    return assemble(tokenizer, load_image_encoder(config, tokenizer) if config else None)
