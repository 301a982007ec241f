"""Limits on one upload, and on all uploads of one call."""

import os
from dataclasses import dataclass

MEGABYTE = 1_000_000  # bytes

# Worker processes. More than there are CPU cores gain nothing. With at least two, one caller can't
# occupy all.
MAX_WORKERS = min(4, max(2, os.cpu_count() or 2))
CALL_SECONDS = 45.0  # for all uploads of a call: boto3's read timeout is 60 seconds
MAX_CHARACTERS = 2_000_000  # of a document's text: longer than any model's context
MAX_UNZIPPED_BYTES = 100 * MEGABYTE  # of an office file
MAX_SIDE_PIXELS = 8_000  # of an image: User Guide, Converse's limits
# The pixels of a call's images, 100 MB in Pillow, above which further images are scaled down.
MAX_UNSCALED_PIXELS = 25_000_000
# The pixels of a call's scaled images, 400 MB in Pillow: more than any context holds.
MAX_PIXELS = 100_000_000
MAX_AUDIO_SECONDS = 2_700  # of a call: a minute more than any model's context holds


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """Resource limits of a worker for one upload. A worker that exceeds one is ended.

    `memory` is in bytes, in addition to what the worker has at the beginning. `output` is in bytes.
    """

    cpu_seconds: int
    seconds: float
    memory: int
    output: int


# pypdf reads some 300 pages a second, openpyxl half a million characters. openpyxl's documentation
# says that it needs 50 times the size of a file as memory.
DOCUMENT_LIMITS = UploadLimits(
    cpu_seconds=10, seconds=25.0, memory=512 * MEGABYTE, output=4 * MAX_CHARACTERS + 4
)
# A progressive JPEG of 8,000 pixels a side takes 640 MB, a WebP of 6,900 pixels 760.
IMAGE_LIMITS = UploadLimits(
    cpu_seconds=5, seconds=15.0, memory=768 * MEGABYTE, output=3 * MAX_UNSCALED_PIXELS
)
# libsndfile and soxr read some 270 seconds of Opus a second, and 600 to 6,000 of other formats. The
# output is float32 at 16,000 samples a second; resampling may add a little.
AUDIO_LIMITS = UploadLimits(
    cpu_seconds=20, seconds=30.0, memory=512 * MEGABYTE, output=4 * 16_000 * (MAX_AUDIO_SECONDS + 1)
)
