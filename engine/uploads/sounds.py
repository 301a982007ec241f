"""Decoding of speech to samples of one channel. Runs in a worker process."""

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any

from engine.uploads.messages import Message
from engine.uploads.refusals import UploadRefused

if TYPE_CHECKING:
    import numpy as np

SLOWEST, FASTEST = 4_000, 192_000  # samples a second that are taken
BLOCK = 1 << 20  # samples of all channels that are read at once, 4 MB


def read_audio(raw: bytes, *, rate: int, most: float) -> Message:
    """Return the samples, float32 of one channel, `rate` of them a second.

    Channels are averaged, as vLLM does. Raises `UploadRefused` for audio of more than `most`
    seconds.
    """
    import numpy as np

    if not _is_known(raw):
        raise UploadRefused("unknown", "it is no WAV, MP3, FLAC or Ogg")
    samples = np.concatenate(list(_resampled(raw, rate, most)))
    if not samples.size:
        raise UploadRefused("broken", "there is nothing in it")
    # A file of floats may hold anything, and a model computes with it.
    clipped = np.clip(np.nan_to_num(samples, copy=False), -1.0, 1.0)
    return Message({}, clipped.astype(np.float32, copy=False).tobytes())


def _is_known(raw: bytes) -> bool:
    """Tell whether the file begins as one of the formats taken.

    libsndfile reads many more, which nobody needs here.
    """
    if raw[:4] == b"RIFF":
        return raw[8:12] == b"WAVE"
    # MPEG audio without tags begins with eleven bits that are set; two that are not both zero
    # behind the next two tell it from AAC.
    is_mpeg = len(raw) > 1 and raw[0] == 0xFF and raw[1] & 0xE0 == 0xE0 and raw[1] & 0x06 != 0
    return is_mpeg or raw.startswith((b"ID3", b"fLaC", b"OggS"))


def _resampled(raw: bytes, rate: int, most: float) -> "Iterator[np.ndarray]":
    """Yield the samples in blocks, so that only the result is as long as the file is."""
    import soxr

    file = _open(raw)
    stream: Any = None
    if file.samplerate != rate:
        stream = soxr.ResampleStream(file.samplerate, rate, 1, dtype="float32", quality="HQ")
    frames = max(1, BLOCK // file.channels)
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
    """Raises `UploadRefused`."""
    try:
        import soundfile
    except OSError as error:  # a build without its libsndfile
        raise UploadRefused("missing", str(error)) from error
    try:
        file = soundfile.SoundFile(BytesIO(raw))
    except soundfile.SoundFileError as error:
        raise UploadRefused("broken", "it is damaged") from error
    if not SLOWEST <= file.samplerate <= FASTEST:
        raise UploadRefused("broken", f"it has {file.samplerate} samples a second")
    return file


READERS: dict[str, Callable[..., Message]] = {"audio": read_audio}
