"""Audio samples that workers read: the same as from the libraries directly."""

from io import BytesIO
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

from engine.uploads import sounds
from engine.uploads.limits import AUDIO_LIMITS, MAX_AUDIO_SECONDS
from engine.uploads.pool import WORKERS
from engine.uploads.refusals import UploadRefused
from engine.uploads.sounds import read_audio
from tests.support.sounds import RATE, tone, written

FORMATS = [
    ("WAV", {}),
    ("WAV", {"subtype": "FLOAT"}),
    ("FLAC", {}),
    ("OGG", {"subtype": "VORBIS"}),
    ("OGG", {"subtype": "OPUS"}),
    ("MP3", {}),
]


def samples(raw: bytes, **options: Any) -> Any:
    read = read_audio(raw, **{"rate": RATE, "most": MAX_AUDIO_SECONDS, **options})
    return np.frombuffer(read.payload, np.float32)


@pytest.mark.parametrize(("kind", "options"), FORMATS)
@pytest.mark.parametrize("channels", [1, 2])
def test_each_format_is_read(kind: str, options: dict[str, str], channels: int) -> None:
    raw = written(kind, 2.5, 48_000, channels, **options)
    limits = {"rate": RATE, "most": MAX_AUDIO_SECONDS}

    assert len(samples(raw)) == pytest.approx(2.5 * RATE, rel=0.05)  # an MP3 begins with silence
    assert WORKERS.read("audio", raw, AUDIO_LIMITS, **limits).payload == samples(raw).tobytes()


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 48_000, 96_000])
def test_what_is_resampled_in_blocks_is_what_soxr_makes_of_the_whole(
    rate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sounds, "BLOCK_SAMPLES", 1_000)
    raw = tone(1.7, rate=rate)
    whole, _ = soundfile.read(BytesIO(raw), dtype="float32")
    expected = soxr.resample(whole, rate, RATE, quality="HQ")

    assert len(samples(raw)) == len(expected)
    assert abs(samples(raw) - expected).max() < 1e-6


def test_channels_are_averaged_and_a_rate_is_kept() -> None:
    file = BytesIO()
    soundfile.write(file, np.array([[0.5, 0.25], [1.0, -1.0]]), RATE, format="WAV")

    assert samples(file.getvalue()).tolist() == pytest.approx([0.375, 0.0], abs=1e-4)


def test_a_file_of_floats_has_finite_samples_of_up_to_1() -> None:
    file = BytesIO()
    odd = np.array([np.nan, np.inf, -np.inf, 1e30, 0.5], np.float32)
    soundfile.write(file, odd, RATE, format="WAV", subtype="FLOAT")

    assert samples(file.getvalue()).tolist() == [0.0, 1.0, -1.0, 1.0, 0.5]


def test_a_file_that_is_too_long_is_not_read_to_its_end() -> None:
    assert len(samples(tone(2), most=2)) == 2 * RATE
    with pytest.raises(UploadRefused) as caught:
        samples(tone(2.01), most=2)

    assert caught.value.reason == "long"


def test_a_build_without_libsndfile_is_missing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str, *_: object, **__: object) -> Any:
        assert name == "soundfile"
        raise OSError("sndfile library not found")

    raw = tone(0.1)
    with monkeypatch.context() as patch:
        patch.setattr("builtins.__import__", fail)
        with pytest.raises(UploadRefused) as caught:
            sounds._open(raw)  # noqa: SLF001 - it imports the library

    assert caught.value.reason == "missing"
