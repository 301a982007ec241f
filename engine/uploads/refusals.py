"""The reasons for which an upload is not read."""

from typing import Literal

Reason = Literal[
    "broken",  # damaged, or of another format than declared
    "unknown",  # no supported format
    "missing",  # the library for it is not installed
    # Exceeded limits. `many`: the pixels of all images of a call. `long`: its audio.
    "cpu",
    "time",
    "memory",
    "output",
    "pixels",
    "many",
    "long",
    "cancelled",  # the call has ended
    "unavailable",  # no worker could be started
]


class UploadRefused(Exception):
    """An upload was not read. `reason` is for programs, the message for clients."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
