"""The frames of a recorded stream: text, padding and the checksum of all of a frame's bytes."""

from dataclasses import dataclass

from engine.protocol import Delta
from invoke_api.dialects.question import InvocationMetrics

RECORDING = "open-telemetry/opentelemetry-js-contrib's recording of Small 2402, 2025-08-08"
# SHA-256 of the recorded body, 4,287 bytes.
WHOLE = "8c5b31565c2c18c6ef0b5f336696e63b1850e8d2af187943acc3536e70362ad8"


@dataclass(frozen=True, kw_only=True)
class RecordedFrame:
    """A frame. `padding` is in characters; `checksum` are the last four bytes."""

    name: str
    seen: str = RECORDING
    delta: Delta
    padding: int
    checksum: str
    metrics: InvocationMetrics | None = None


FRAMES = [
    (" I", 59, "8b7c1dec"),
    ("'", 27, "cf8f562b"),
    ("m", 15, "2a509e97"),
    (" an", 14, "77a26a9b"),
    (" AI", 39, "b1f2cf63"),
    (",", 54, "4dc7ae7f"),
    (" so", 16, "b4ad8a81"),
    (" I", 55, "e1c989a3"),
    (" don", 53, "3b79d4fd"),
    ("'", 37, "aa75eb99"),
    ("t", 46, "7ac0aa03"),
    (" have", 18, "bca362ec"),
    (" feelings", 33, "65e56e96"),
    (",", 48, "dd32803e"),
    (" but", 7, "1c56ddb3"),
    (" I", 10, "65cae4ae"),
    ("'", 28, "d10fb4d1"),
    ("m", 21, "3e3a599f"),
    (" functioning", 18, "987a33f4"),
]
LAST = RecordedFrame(
    name="frame 20, the last",
    delta=Delta(" well", "length"),
    padding=41,
    checksum="6aae213a",
    metrics=InvocationMetrics(
        input_tokens=19, output_tokens=20, latency=408, first_byte_latency=134
    ),
)

TABLE = [
    *(
        RecordedFrame(name=f"frame {number}", delta=Delta(text), padding=padding, checksum=checksum)
        for number, (text, padding, checksum) in enumerate(FRAMES, start=1)
    ),
    LAST,
]
