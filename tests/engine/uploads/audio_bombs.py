"""Audio files that are small and costly to read."""

import json
from collections.abc import Callable, Sequence
from struct import pack

from tests.support.sounds import RATE, to_base64, written

HOUR = 3_600  # seconds


def converse_audio(kind: str, clips: Sequence[bytes]) -> bytes:
    """Return a Converse body with these clips."""
    blocks = [{"audio": {"format": kind, "source": {"bytes": to_base64(raw)}}} for raw in clips]
    content = [{"text": "What is being said?"}, *blocks]
    return json.dumps({"messages": [{"role": "user", "content": content}]}).encode()


def wav_of(channels: int, rate: int, frames: int) -> bytes:
    """Return an 8-bit WAV whose header declares so many frames, without data."""
    head = pack("<HHIIHH", 1, channels, rate, min(rate * channels, 2**32 - 1), channels, 8)
    size = min(channels * frames, 2**32 - 1)
    chunks = b"fmt " + pack("<I", len(head)) + head + b"data" + pack("<I", size) + bytes(4_096)
    return b"RIFF" + pack("<I", 2**32 - 1) + b"WAVE" + chunks


AUDIO_BOMBS: dict[str, tuple[str, Callable[[], list[bytes]]]] = {
    "hours of silence in a small FLAC": ("flac", lambda: [written("FLAC", 3 * HOUR, 8_000)]),
    "hours of silence in a small Ogg": ("ogg", lambda: [written("OGG", 3 * HOUR, 8_000)]),
    "just what is taken, and all of it resampled": (
        "flac",
        lambda: [written("FLAC", 2_690, 44_100, 2)],
    ),
    "five long clips": ("flac", lambda: [written("FLAC", 530, RATE)] * 5),
    "a WAV of many channels": ("wav", lambda: [wav_of(1_024, 48_000, 2**22)]),
    "a WAV of more channels than there can be": ("wav", lambda: [wav_of(65_535, 48_000, 9)]),
    "a WAV of a huge rate": ("wav", lambda: [wav_of(1, 2**31, 2**31)]),
    "a WAV of no rate": ("wav", lambda: [wav_of(1, 0, 2**31)]),
    "a WAV that says it is huge": ("wav", lambda: [wav_of(2, 48_000, 2**31)]),
    "an MP3 of nothing but its first two bytes": ("mp3", lambda: [b"\xff\xfb" * 2_000_000]),
    "an MP3 with a long tag": ("mp3", lambda: [b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + bytes(4_000_000)]),
    "an Ogg of broken pages": ("ogg", lambda: [b"OggS" + bytes(23) * 200_000]),
}
