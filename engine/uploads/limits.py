"""Bounds of reading one upload, and all uploads of one call."""

import os
from dataclasses import dataclass

MEGABYTE = 1_000_000  # bytes

# Worker processes at once. More than the cores gain nothing; with two, one caller can't have all.
MOST_WORKERS = min(4, max(2, os.cpu_count() or 2))
CALL_SECONDS = 45.0  # for all uploads of a call; clients give up after 60
MOST_CHARACTERS = 2_000_000  # of a document's text: no context holds as many
MOST_UNZIPPED = 100 * MEGABYTE  # bytes that an office file of 4.5 MB may hide
MOST_SIDE = 8_000  # pixels: User Guide, Converse's limits
# Pixels of a call's images that are kept as they are, 100 MB in Pillow; others are scaled down.
WHOLE_PIXELS = 25_000_000
# Pixels of a call's images once they are scaled, 400 MB in Pillow: more than any context holds.
MOST_PIXELS = 100_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What a worker may spend on one upload. Exceeding any of it ends the worker.

    `memory` is in bytes on top of what the worker has when it begins, `output` in bytes.
    """

    cpu_seconds: int
    seconds: float
    memory: int
    output: int


# pypdf reads some 300 pages a second, openpyxl half a million characters; it needs, as it says
# itself, 50 times the size of a file.
DOCUMENT = Limits(
    cpu_seconds=10, seconds=30.0, memory=512 * MEGABYTE, output=4 * MOST_CHARACTERS + 4
)
# A progressive JPEG of 8,000 pixels a side takes 640 MB, a WebP of 6,900 pixels 760.
IMAGE = Limits(cpu_seconds=5, seconds=15.0, memory=768 * MEGABYTE, output=3 * WHOLE_PIXELS)
