"""Audio for tests: tones as WAV by Python itself, and other formats by libsndfile."""

import wave
from base64 import b64encode
from io import BytesIO

import numpy as np

RATE = 16_000  # samples a second, as for Voxtral


def tone(seconds: float = 1.0, hertz: float = 440, rate: int = RATE, channels: int = 1) -> bytes:
    """Return a 16-bit WAV with equal channels."""
    times = np.arange(round(seconds * rate)) / rate
    samples = (9_000 * np.sin(2 * np.pi * hertz * times)).astype("<i2").repeat(channels)
    file = BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(channels)
        written.setsampwidth(2)
        written.setframerate(rate)
        written.writeframes(samples.tobytes())
    return file.getvalue()


def written(
    kind: str, seconds: float = 1.0, rate: int = 48_000, channels: int = 1, **options: str
) -> bytes:
    """Return silence in one of libsndfile's formats, written a second at a time."""
    import soundfile  # noqa: PLC0415 - not needed for tones

    file = BytesIO()
    frames = round(seconds * rate)
    with soundfile.SoundFile(file, "w", rate, channels, format=kind, **options) as sound:
        for start in range(0, frames, rate):
            sound.write(np.zeros((min(rate, frames - start), channels), np.float32))
    return file.getvalue()


def to_base64(raw: bytes) -> str:
    return b64encode(raw).decode()


def to_url(raw: bytes, kind: str = "wav") -> str:
    return f"data:audio/{kind};base64,{to_base64(raw)}"
