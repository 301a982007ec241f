"""Why an upload could not be read, in words that a client may be told."""

from typing import Literal

Reason = Literal[
    "broken",  # damaged, or not of the format it is said to be
    "unknown",  # of no format that is taken
    "missing",  # a library that reads it is not installed
    # A limit is exceeded: `many` by the pixels of all images of a call, `long` by its audio.
    "cpu",
    "time",
    "memory",
    "output",
    "pixels",
    "many",
    "long",
    "cancelled",  # the call has ended
    "unavailable",  # no worker can be started
]


class UploadRefused(Exception):
    """An upload was not read. `reason` is for programs, the message for clients."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
