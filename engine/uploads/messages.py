"""Messages between the service and a worker: a JSON object and a payload. Pure.

Nothing is unpickled, because a hostile file may have taken over the worker.
"""

import json
from collections.abc import Mapping
from struct import Struct
from typing import Any, NamedTuple

PRELUDE = Struct("!IQ")  # the lengths of the head and the payload
MAX_HEAD_BYTES = 65_536  # of JSON


class Message(NamedTuple):
    """A request to read `payload`, or the answer with the text, pixels or samples in it."""

    head: Mapping[str, Any]
    payload: bytes = b""


class BadMessage(ValueError):
    """Bytes that are no valid message."""


def encode_message(message: Message) -> bytes:
    head = json.dumps(message.head).encode()
    return PRELUDE.pack(len(head), len(message.payload)) + head + message.payload


def parse_prelude(raw: bytes, most: int) -> tuple[int, int]:
    """Return the lengths of the head and of the payload.

    Raises `BadMessage` if the payload has more than `most` bytes.
    """
    head, payload = PRELUDE.unpack(raw)
    if head > MAX_HEAD_BYTES or payload > most:
        raise BadMessage("a message is too long")
    return head, payload


def parse_message(head: bytes, payload: bytes) -> Message:
    """Parse the JSON object. Raises `BadMessage`."""
    try:
        parsed = json.loads(head)
    except ValueError as error:
        raise BadMessage("the head of a message is not JSON") from error
    if not isinstance(parsed, dict):
        raise BadMessage("the head of a message is not an object")
    return Message(parsed, payload)
