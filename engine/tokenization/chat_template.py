"""Encoding of conversations by mistral-common, Mistral's reference implementation.

mistral-common is imported inside functions, because that takes 0.7 s.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.errors import ChatRefused

if TYPE_CHECKING:
    from mistral_common.protocol.instruct.request import ChatCompletionRequest
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
    from PIL.Image import Image

    from engine.tokenization.audio import AudioClip

TEXT_ONLY = "This model takes text only."
CALL_ID = re.compile("[a-zA-Z0-9]{9}")
BAD_CALL_ID = "Tool call id was {id} but must be a-z, A-Z, 0-9, with a length of 9."
# The beginning of mistral-common's error for a system message beside audio, before version 13.
SYSTEM_BESIDE_AUDIO = "Found system messages at indexes"


class ChatPrompt(NamedTuple):
    """An encoded conversation. `tokens` begin with the BOS and have placeholders for the media."""

    tokens: tuple[int, ...]
    images: tuple["Image", ...] = ()
    audio: tuple["AudioClip", ...] = ()


class ChatTemplate:
    """The chat template of one tokenizer of `chat_tokenizers`.

    `calls_style` is the model's syntax for calls of tools; see `tool_calls.py`.
    """

    def __init__(
        self, tokenizer: "MistralTokenizer[Any, Any, Any, Any, Any]", calls_style: str
    ) -> None:
        inner = tokenizer.instruct_tokenizer
        image, audio = inner.image_encoder, inner.audio_encoder
        # None if the model takes no images, or no audio.
        self._side = None if image is None else image.image_config.max_image_size
        self._rate = None if audio is None else audio.audio_config.sampling_rate
        self._tokenizer = tokenizer
        self.calls_style = calls_style

    def encode(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()
    ) -> ChatPrompt:
        """Encode OpenAI's messages and tools, with images in data URLs and audio in base64.

        Raises `ChatRefused` with mistral-common's own sentence, as Bedrock's errors have it.
        """
        from mistral_common.exceptions import MistralCommonException
        from mistral_common.protocol.instruct.request import ChatCompletionRequest
        from pydantic import ValidationError

        from engine.tokenization.media import MediaOpener

        media = MediaOpener(self._side, self._rate)
        opened = [
            {**message, "content": media.open(message["content"])}
            if "content" in message
            else message
            for message in messages
        ]
        try:
            document = {"messages": opened, "tools": tools or None, "model": "any"}
            request: ChatCompletionRequest[Any] = ChatCompletionRequest.model_validate(document)
            if self.calls_style == "arguments":
                _check_ids(request)
            tokens = self._tokenizer.encode_chat_completion(request).tokens
            return ChatPrompt(tuple(tokens), tuple(media.images), tuple(media.audio))
        except MistralCommonException as error:
            raise ChatRefused(str(error)) from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise ChatRefused(f"{where}: {first['msg']}") from error
        except (ValueError, TypeError, RuntimeError) as error:
            # mistral-common and SentencePiece raise these for arguments and results of tools.
            said = str(error)
            own = (
                said
                if said.startswith(SYSTEM_BESIDE_AUDIO)
                else "Invalid arguments or content of a tool."
            )
            raise ChatRefused(own) from error


def _check_ids(request: "ChatCompletionRequest[Any]") -> None:
    """Raise `ChatRefused` for an id that is not nine letters and digits.

    mistral-common refuses one up to version 11 only. Large 3, of version 13, was recorded to refuse
    it, too.
    """
    for message in request.messages:
        calls = getattr(message, "tool_calls", None) or ()
        ids = [*(call.id for call in calls), getattr(message, "tool_call_id", None)]
        for each in ids:
            if each not in (None, "null") and not CALL_ID.fullmatch(each):
                raise ChatRefused(BAD_CALL_ID.format(id=each))


def load_template(file: Path, encode: Callable[[str], list[int]]) -> ChatTemplate:
    """Return the template of a SentencePiece file, whose name ends with its version.

    `encode` returns the tokens of a text that follows other text, like `WordCache.encode`.
    """
    from engine.tokenization.chat_tokenizers import load_sentencepiece

    return ChatTemplate(load_sentencepiece(file, encode), "list")
