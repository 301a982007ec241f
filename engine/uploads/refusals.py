"""Why an upload could not be read, in words that a client may be told."""

from typing import Literal

Reason = Literal[
    "broken", "missing", "cpu", "time", "memory", "output", "pixels", "cancelled", "unavailable"
]


class UploadRefused(Exception):
    """An upload was not read. `reason` is for programs, the message for clients.

    `broken`: it is damaged, or is not of the format it is said to be. `missing`: a library that
    reads it is not installed. `cpu`, `time`, `memory`, `output`, `pixels`: it exceeds that limit.
    `cancelled`: the call has ended. `unavailable`: no worker can be started.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
