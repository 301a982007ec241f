"""Conversations as Mistral's models read them: mistral-common, Mistral's own reference.

It is imported inside functions: that takes 0.7 s.
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

    from engine.audio import Clip

TEXT_ONLY = "This model takes text only."
ID = re.compile("[a-zA-Z0-9]{9}")
BAD_ID = "Tool call id was {id} but must be a-z, A-Z, 0-9, with a length of 9."
# How mistral-common begins to say that before v13 a system message does not go with audio.
WITH_AUDIO = "Found system messages at indexes"


class ChatPrompt(NamedTuple):
    """`tokens` begin with the BOS, and have a place for every part of `images` and `audio`."""

    tokens: tuple[int, ...]
    images: tuple["Image", ...] = ()
    audio: tuple["Clip", ...] = ()


class ChatTemplate:
    """`calls_style` says how the model writes calls of tools; see `tool_calls.py`."""

    def __init__(
        self, tokenizer: "MistralTokenizer[Any, Any, Any, Any, Any]", calls_style: str
    ) -> None:
        inner = tokenizer.instruct_tokenizer
        inner.decode = _no_text  # type: ignore[method-assign]  # of no use to us, and half of the time
        self._side: int | None = None  # pixels that an image may have, if the model sees
        if inner.image_encoder is not None:
            from engine.images import CountingEncoder

            known = inner.image_encoder
            inner.image_encoder = CountingEncoder(known.image_config, known.special_ids)
            self._side = known.image_config.max_image_size
        self._rate: int | None = None  # samples a second that audio has, if the model hears
        if inner.audio_encoder is not None:
            from engine.audio import CountingAudio

            heard = inner.audio_encoder
            inner.audio_encoder = CountingAudio(heard.audio_config, heard.special_ids)
            self._rate = heard.audio_config.sampling_rate
        self._tokenizer = tokenizer
        self.calls_style = calls_style

    def encode(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()
    ) -> ChatPrompt:
        """Messages and tools are OpenAI-shaped, images in data URLs, audio in base64.

        Raises `ChatRefused` with mistral-common's own sentence, which is what Bedrock says, too.
        """
        from mistral_common.exceptions import MistralCommonException
        from mistral_common.protocol.instruct.request import ChatCompletionRequest
        from pydantic import ValidationError

        from engine.media import Media

        media = Media(self._side, self._rate)
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
            # What it, or SentencePiece, stumbles over in arguments of tools and their results.
            said = str(error)
            own = said if said.startswith(WITH_AUDIO) else "Invalid arguments or content of a tool."
            raise ChatRefused(own) from error


def _check_ids(request: "ChatCompletionRequest[Any]") -> None:
    """Raise `ChatRefused` for an id that is no 9 letters and digits.

    mistral-common refuses one up to version 11 only. Large 3, of version 13, was heard to, too.
    """
    for message in request.messages:
        calls = getattr(message, "tool_calls", None) or ()
        ids = [*(call.id for call in calls), getattr(message, "tool_call_id", None)]
        for each in ids:
            if each not in (None, "null") and not ID.fullmatch(each):
                raise ChatRefused(BAD_ID.format(id=each))


def _no_text(*_: object, **__: object) -> str:
    """mistral-common writes each prompt out again, for people to read, until its 1.13."""
    return ""


def load_template(file: Path, encode: Callable[[str], list[int]]) -> ChatTemplate:
    """The template of a SentencePiece tokenizer's version, which its name ends with.

    `encode` gives the tokens of a text that follows other text, as `Words` does.
    """
    from mistral_common.protocol.instruct.validator import ValidationMode
    from mistral_common.tokens.tokenizers.instruct import InstructTokenizerV2
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

    tokenizer = MistralTokenizer.from_file(file, mode=ValidationMode.serving)
    template = tokenizer.instruct_tokenizer
    if type(template) is InstructTokenizerV2:
        # Its own refuses a second result of one turn, and then does what this does at once.
        encode_all = super(InstructTokenizerV2, template).encode_instruct
        template.encode_instruct = encode_all  # type: ignore[method-assign]
    inner = template.tokenizer

    def encode_first(s: str, bos: bool, eos: bool) -> list[int]:  # noqa: FBT001 - mistral-common's
        """SentencePiece puts a space before every text but an empty one."""
        tokens = encode(" " + s) if s else []
        return [inner.bos_id] * bos + tokens + [inner.eos_id] * eos

    inner.encode = encode_first  # type: ignore[method-assign]  # its own asks for each word anew
    return ChatTemplate(tokenizer, "list")
