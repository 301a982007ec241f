"""Decoding of audio to samples of one channel. Runs in a worker process."""

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any

from engine.uploads.messages import Message
from engine.uploads.refusals import UploadRefused

if TYPE_CHECKING:
    import numpy as np

MIN_RATE, MAX_RATE = 4_000, 192_000  # samples a second
BLOCK_SAMPLES = 1 << 20  # of all channels, read at once: 4 MB


def read_audio(raw: bytes, *, rate: int, most: float) -> Message:
    """Return the audio as float32 samples of one channel, at `rate` samples a second.

    Channels are averaged, as vLLM does. Raises `UploadRefused` for audio of more than `most`
    seconds.
    """
    import numpy as np

    if not _is_known(raw):
        raise UploadRefused("unknown", "it is no WAV, MP3, FLAC or Ogg")
    samples = np.concatenate(list(_resampled(raw, rate, most)))
    if not samples.size:
        raise UploadRefused("broken", "there is nothing in it")
    # A file of floats may have NaN and infinity, which a model must not get.
    clipped = np.clip(np.nan_to_num(samples, copy=False), -1.0, 1.0)
    return Message({}, clipped.astype(np.float32, copy=False).tobytes())


def _is_known(raw: bytes) -> bool:
    """Tell whether the file begins like WAV, MP3, FLAC or Ogg.

    libsndfile reads many other formats, which Bedrock does not take.
    """
    if raw[:4] == b"RIFF":
        return raw[8:12] == b"WAVE"
    # MPEG audio without tags begins with eleven set bits. The two layer bits, after the two version
    # bits, are both zero in AAC only.
    is_mpeg = len(raw) > 1 and raw[0] == 0xFF and raw[1] & 0xE0 == 0xE0 and raw[1] & 0x06 != 0
    return is_mpeg or raw.startswith((b"ID3", b"fLaC", b"OggS"))


def _resampled(raw: bytes, rate: int, most: float) -> "Iterator[np.ndarray]":
    """Yield the samples in blocks, so that only the result is held in full length."""
    import soxr

    file = _open(raw)
    stream: Any = None
    if file.samplerate != rate:
        stream = soxr.ResampleStream(file.samplerate, rate, 1, dtype="float32", quality="HQ")
    frames = max(1, BLOCK_SAMPLES // file.channels)
    left = most * file.samplerate
    while True:
        block = file.read(frames, dtype="float32", always_2d=True)
        left -= len(block)
        if left < 0:
            raise UploadRefused("long", f"it is longer than {most:g} seconds")
        mono = block.mean(axis=1)
        yield mono if stream is None else stream.resample_chunk(mono, last=not len(block))
        if not len(block):
            return


def _open(raw: bytes) -> Any:  # noqa: ANN401 - a SoundFile, whose library has no types
    """Open the audio file. Raises `UploadRefused`."""
    try:
        import soundfile
    except OSError as error:  # a build without its libsndfile
        raise UploadRefused("missing", str(error)) from error
    try:
        file = soundfile.SoundFile(BytesIO(raw))
    except soundfile.SoundFileError as error:
        raise UploadRefused("broken", "it is damaged") from error
    if not MIN_RATE <= file.samplerate <= MAX_RATE:
        raise UploadRefused("broken", f"it has {file.samplerate} samples a second")
    return file


READERS: dict[str, Callable[..., Message]] = {"audio": read_audio}
