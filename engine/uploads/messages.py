"""Messages between the service and a worker: a JSON object, and bytes that it speaks of. Pure.

Nothing is unpickled: a worker may have been taken over by what it has read.
"""

import json
from collections.abc import Mapping
from struct import Struct
from typing import Any, NamedTuple

PRELUDE = Struct("!IQ")  # how many bytes of JSON, and how many bytes behind it
MOST_HEAD = 65_536  # bytes of JSON


class Message(NamedTuple):
    """`payload` is what is read, or what has been read."""

    head: Mapping[str, Any]
    payload: bytes = b""


class BadMessage(ValueError):
    """These bytes are none of ours."""


def encode_message(message: Message) -> bytes:
    head = json.dumps(message.head).encode()
    return PRELUDE.pack(len(head), len(message.payload)) + head + message.payload


def parse_prelude(raw: bytes, most: int) -> tuple[int, int]:
    """Return the lengths of the head and of the payload, of which `most` bytes are taken.

    Raises `BadMessage`.
    """
    head, payload = PRELUDE.unpack(raw)
    if head > MOST_HEAD or payload > most:
        raise BadMessage("a message is too long")
    return head, payload


def parse_message(head: bytes, payload: bytes) -> Message:
    """Raises `BadMessage`."""
    try:
        parsed = json.loads(head)
    except ValueError as error:
        raise BadMessage("the head of a message is no JSON") from error
    if not isinstance(parsed, dict):
        raise BadMessage("the head of a message is no object")
    return Message(parsed, payload)
