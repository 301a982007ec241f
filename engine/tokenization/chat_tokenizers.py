"""mistral-common's tokenizers of conversations, without the work that nobody here needs.

mistral-common (1.13) writes each prompt out again for people to read, which takes half of the time,
and reads images and audio, which are counted here and read elsewhere. Imports mistral-common, and
so is imported inside functions only.
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


class ManyResults(instruct.InstructTokenizerV2[Any, Any, Any]):
    """Version 2, which refuses a second result of one turn; Bedrock's models of it take several."""

    def encode_instruct(self, request: Any) -> Tokenized:  # noqa: ANN401 - mistral-common's
        """Encode as version 2 does behind that check."""
        return super(instruct.InstructTokenizerV2, self).encode_instruct(request)


class Unwritten:
    """A tokenizer of conversations that leaves out the text of a prompt."""

    def decode(self, *_: object, **__: object) -> str:
        """Return no text, in place of one that takes as long as the tokens."""
        return ""


class WordTokenizer(SentencePieceTokenizer):
    """A SentencePiece tokenizer of messages that remembers words.

    `encode_rest` gives the tokens of a text that follows other text, as `Words` does.
    """

    def __init__(self, file: Path, encode_rest: Callable[[str], list[int]]) -> None:
        super().__init__(file)
        self._encode_rest = encode_rest

    def encode(self, s: str, bos: bool, eos: bool) -> list[int]:  # noqa: FBT001 - mistral-common's
        """Return the tokens. SentencePiece puts a space before every text but an empty one."""
        tokens = self._encode_rest(" " + s) if s else []
        return [self.bos_id] * bos + tokens + [self.eos_id] * eos


def assemble(
    tokenizer: Tokenizer, image: ImageEncoder | None = None, audio: AudioEncoder | None = None
) -> AnyTokenizer:
    """Return the tokenizer of conversations of this version; images and audio are only counted."""
    version: TokenizerVersion = tokenizer.version
    known = getattr(instruct, f"InstructTokenizer{version.value.upper()}")
    if version == TokenizerVersion.v2:
        known = ManyResults
    own: Any = type(known.__name__, (Unwritten, known), {})
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
