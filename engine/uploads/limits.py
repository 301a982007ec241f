"""Limits for reading one upload, and for all uploads of one call."""

import os
from dataclasses import dataclass

MEGABYTE = 1_000_000  # bytes

# Worker processes at once. More than there are CPU cores gain nothing. With at least two, one
# caller can't occupy all.
MOST_WORKERS = min(4, max(2, os.cpu_count() or 2))
CALL_SECONDS = 45.0  # for all uploads of a call; clients give up after 60
MOST_CHARACTERS = 2_000_000  # of a document's text: no model's context is as long
MOST_UNZIPPED = 100 * MEGABYTE  # bytes that an office file of 4.5 MB may hide
MOST_SIDE = 8_000  # pixels: User Guide, Converse's limits
# Pixels of a call's images that are kept unscaled, 100 MB in Pillow; others are scaled down.
WHOLE_PIXELS = 25_000_000
# Pixels of a call's images once they are scaled, 400 MB in Pillow: more than any context holds.
MOST_PIXELS = 100_000_000
MOST_SECONDS = 2_700  # of a call's audio: more than the window of any model holds, by a minute


@dataclass(frozen=True, slots=True)
class Limits:
    """Resource limits of a worker for one upload. Exceeding any of them ends the worker.

    `memory` is in bytes on top of the memory that the worker has at the beginning. `output` is in
    bytes.
    """

    cpu_seconds: int
    seconds: float
    memory: int
    output: int


# pypdf reads some 300 pages a second, openpyxl half a million characters. openpyxl needs 50 times
# the size of a file as memory, according to its documentation.
DOCUMENT = Limits(
    cpu_seconds=10, seconds=25.0, memory=512 * MEGABYTE, output=4 * MOST_CHARACTERS + 4
)
# A progressive JPEG of 8,000 pixels a side takes 640 MB, a WebP of 6,900 pixels 760.
IMAGE = Limits(cpu_seconds=5, seconds=15.0, memory=768 * MEGABYTE, output=3 * WHOLE_PIXELS)
# libsndfile and soxr read some 270 seconds of Opus a second, and 600 to 6,000 of other formats. The
# output is float32 at 16,000 samples a second, and a little more where it is resampled.
AUDIO = Limits(
    cpu_seconds=20, seconds=30.0, memory=512 * MEGABYTE, output=4 * 16_000 * (MOST_SECONDS + 1)
)
