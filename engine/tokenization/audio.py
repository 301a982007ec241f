"""Audio of a conversation: read from base64 only, and counted by its length.

This module imports mistral-common; import it inside functions only.
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
from engine.uploads.call import current_session
from engine.uploads.limits import AUDIO_LIMITS, MAX_AUDIO_SECONDS
from engine.uploads.pool import WORKERS
from engine.uploads.refusals import UploadRefused

# Other URLs would let a client make this machine fetch addresses or read local files.
AUDIO_DATA_URL = re.compile(r"data:audio/[a-z0-9.+-]+;base64,")
NO_URL = "An audio_url must be a data URL of audio, in base64."
NO_DATA = "An input_audio must have its data in base64."
NOT_AUDIO = "Audio is no WAV, MP3, FLAC or Ogg in base64."
# By Converse's names. The file's content decides its format.
AUDIO_FORMATS = {"wav", "mp3", "mpeg", "mpga", "flac", "ogg", "opus"}
# By the reasons of `UploadRefused`. All are guesses: Bedrock's own sentences are not known.
AUDIO_REFUSALS = {
    "unknown": NOT_AUDIO,
    "broken": "Audio is damaged.",
    "long": f"The audio of a request may last {MAX_AUDIO_SECONDS} seconds, and no more.",
}


@dataclass(frozen=True, slots=True)
class AudioClip:
    """Audio of one channel: float32 in the byte order of this machine, `rate` samples a second."""

    samples: bytes = field(repr=False)
    rate: int
    digest: bytes

    @property
    def length(self) -> int:
        """Return the number of samples."""
        return len(self.samples) // np.float32().nbytes

    def to_array(self) -> "np.ndarray[Any, np.dtype[np.float32]]":
        return np.frombuffer(self.samples, np.float32)


def open_input_audio(part: Any, rate: int) -> AudioClip:  # noqa: ANN401 - any JSON
    """Return the clip of an `input_audio` part. Raises `ChatRefused`.

    OpenAI's form is an object with `data` and `format`; Mistral's is base64 or a data URL.
    """
    data = part
    if isinstance(part, dict):
        data, kind = part.get("data"), part.get("format", "wav")
        if not isinstance(kind, str) or kind not in AUDIO_FORMATS:
            raise ChatRefused(f"Audio of the format {kind} can't be read.")
    if not isinstance(data, str):
        raise ChatRefused(NO_DATA)
    return _open(
        AUDIO_DATA_URL.sub("", data, count=1) if AUDIO_DATA_URL.match(data) else data, rate
    )


def open_audio_url(part: Any, rate: int) -> AudioClip:  # noqa: ANN401 - any JSON
    """Return the clip of a data URL. Raises `ChatRefused`."""
    url = part.get("url") if isinstance(part, dict) else part
    found = AUDIO_DATA_URL.match(url) if isinstance(url, str) else None
    if not found or not isinstance(url, str):
        raise ChatRefused(NO_URL)
    return _open(url[found.end() :], rate)


def _open(encoded: str, rate: int) -> AudioClip:
    """Decode base64 audio in a worker process. Raises `ChatRefused`."""
    session = current_session()
    try:
        raw = b64decode(encoded, validate=True)
        samples = WORKERS.read(
            "audio", raw, AUDIO_LIMITS, rate=rate, most=session.audio_seconds
        ).payload
    except (Error, ValueError) as error:  # ValueError: it has other characters than ASCII
        raise ChatRefused(NOT_AUDIO) from error
    except UploadRefused as refusal:
        raise _to_error(refusal) from refusal
    clip = AudioClip(samples, rate, sha256(samples).digest())
    # A worker that was taken over may answer anything.
    if not clip.length or len(samples) % np.float32().nbytes:
        raise ChatRefused(AUDIO_REFUSALS["broken"])
    session.audio_seconds -= clip.length / rate
    return clip


def _to_error(refusal: UploadRefused) -> EngineError:
    if refusal.reason in ("cancelled", "unavailable"):
        return EngineBusy(str(refusal))
    if refusal.reason == "missing":
        return ChatRefused(f"Audio needs bedrock-invoke-api[speech]: {refusal}")
    sentence = AUDIO_REFUSALS.get(refusal.reason, f"Audio could not be read: {refusal}.")
    return ChatRefused(sentence)


def to_part(clip: AudioClip) -> dict[str, str]:
    """Return a message part with the length, as a text because mistral-common takes no other."""
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
    """A placeholder for the audio in mistral-common's result, which is not used."""

    def __init__(self) -> None:
        """Skip the checks of `Audio`, which need libsndfile."""
