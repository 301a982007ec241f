"""Audio of a conversation: read from base64 alone, and counted by its length.

Imports mistral-common, and so is imported inside functions only.
"""

import re
from base64 import b64decode
from binascii import Error
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np
from mistral_common.protocol.instruct.chunk import AudioChunk, AudioURLChunk
from mistral_common.tokens.tokenizers.audio import Audio, AudioEncoder, AudioEncoding

from engine.errors import ChatRefused, EngineBusy, EngineError
from engine.uploads.call import current_call
from engine.uploads.limits import AUDIO, MOST_SECONDS
from engine.uploads.pool import WORKERS
from engine.uploads.refusals import UploadRefused

# Any other URL would have this machine fetch what a client names, or read its files.
DATA = re.compile(r"data:audio/[a-z0-9.+-]+;base64,")
NO_URL = "An audio_url must be a data URL of audio, in base64."
NO_DATA = "An input_audio must have its data in base64."
UNKNOWN = "Audio is no WAV, MP3, FLAC or Ogg in base64."
# Formats that the libraries read, by Converse's names. The file's content decides its format.
FORMATS = {"wav", "mp3", "mpeg", "mpga", "flac", "ogg", "opus"}
# By the reasons of `UploadRefused`. Guess for all words: Bedrock's own are not known.
SENTENCES = {
    "unknown": UNKNOWN,
    "broken": "Audio is damaged.",
    "long": f"The audio of a request may last {MOST_SECONDS} seconds, and no more.",
}


@dataclass(frozen=True, slots=True)
class Clip:
    """Audio of one channel, as float32 in this machine's order: `rate` samples a second."""

    samples: bytes = field(repr=False)
    rate: int
    digest: bytes

    @property
    def length(self) -> int:
        """The number of samples."""
        return len(self.samples) // np.float32().nbytes

    def to_array(self) -> "np.ndarray[Any, np.dtype[np.float32]]":
        return np.frombuffer(self.samples, np.float32)


def open_input_audio(part: Any, rate: int) -> Clip:  # noqa: ANN401 - any JSON
    """Return the clip of OpenAI's form, an object with `data` and `format`, or of Mistral's.

    Mistral's is a text, of base64 or a data URL. Raises `ChatRefused`.
    """
    data = part
    if isinstance(part, dict):
        data, kind = part.get("data"), part.get("format", "wav")
        if not isinstance(kind, str) or kind not in FORMATS:
            raise ChatRefused(f"Audio of the format {kind} can't be read.")
    if not isinstance(data, str):
        raise ChatRefused(NO_DATA)
    return _open(DATA.sub("", data, count=1) if DATA.match(data) else data, rate)


def open_audio_url(part: Any, rate: int) -> Clip:  # noqa: ANN401 - any JSON
    """Return the clip of a data URL. Raises `ChatRefused`."""
    url = part.get("url") if isinstance(part, dict) else part
    found = DATA.match(url) if isinstance(url, str) else None
    if not found or not isinstance(url, str):
        raise ChatRefused(NO_URL)
    return _open(url[found.end() :], rate)


def _open(encoded: str, rate: int) -> Clip:
    """Decode it in a worker process. Raises `ChatRefused`."""
    call = current_call()
    try:
        raw = b64decode(encoded, validate=True)
        samples = WORKERS.read("audio", raw, AUDIO, rate=rate, most=call.audio_seconds).payload
    except (Error, ValueError) as error:  # what is not ASCII is no base64 either
        raise ChatRefused(UNKNOWN) from error
    except UploadRefused as refusal:
        raise _to_error(refusal) from refusal
    clip = Clip(samples, rate, sha256(samples).digest())
    if not clip.length or len(samples) % np.float32().nbytes:  # a worker that was taken over
        raise ChatRefused(SENTENCES["broken"])
    call.audio_seconds -= clip.length / rate
    return clip


def _to_error(refusal: UploadRefused) -> EngineError:
    if refusal.reason in ("cancelled", "unavailable"):
        return EngineBusy(str(refusal))
    if refusal.reason == "missing":
        return ChatRefused(f"Audio needs invoke-api[speech]: {refusal}")
    sentence = SENTENCES.get(refusal.reason, f"Audio could not be read: {refusal}.")
    return ChatRefused(sentence)


def to_part(clip: Clip) -> dict[str, str]:
    """Return the part of a message that `CountingAudio` counts: mistral-common takes texts only."""
    return {"type": "input_audio", "input_audio": str(clip.length)}


class CountingAudio(AudioEncoder):
    """An encoder that counts the tokens of audio by its length, and decodes nothing."""

    def __call__(self, content: AudioChunk | AudioURLChunk) -> AudioEncoding:
        if not isinstance(content, AudioChunk) or not str(content.input_audio).isdecimal():
            raise ChatRefused("Audio was not opened.")
        config = self.audio_config
        length = int(content.input_audio)
        if config.chunk_length_s:
            length = self.next_multiple_of_chunk_frames(length, config.sampling_rate)
        length = max(length, config.encoding_config.window_size)
        tokens = [self.audio_token] * config.num_audio_tokens(length)
        return AudioEncoding(tokens=[self.begin_audio_token, *tokens], audio=_Counted())


class _Counted(Audio):
    """The place of audio in mistral-common's answer, which nobody looks at."""

    def __init__(self) -> None:
        """Leave out what `Audio` checks, for which it needs libsndfile."""
