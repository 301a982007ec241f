"""The `chunk` events of InvokeModelWithResponseStream."""

from binascii import b2a_base64
from collections.abc import Iterable
from random import random

from invoke_api.wire.errors import JSON
from invoke_api.wire.eventstream import encode_headers, encode_payloads

HEADERS = encode_headers({":event-type": "chunk", ":content-type": JSON, ":message-type": "event"})
# Bedrock pads each event with the beginning of this alphabet, of a length drawn evenly from
# 2 to 61, so that the size of a frame tells nobody the length of a token.
ALPHABET = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
SHORTEST, LONGEST = 2, 61
ENDS = {size: b'","p":"%b"}' % ALPHABET[:size] for size in range(SHORTEST, LONGEST + 1)}


def draw_padding() -> int:
    """Draw the padding of an event; randint takes ten times as long."""
    return SHORTEST + int(random() * (LONGEST - SHORTEST + 1))  # noqa: S311 - hides no secret


def encode_chunks(bodies: Iterable[bytes]) -> bytes:
    """Return the frames of these chunks, each with a padding of its own."""
    return encode_payloads(HEADERS, [_pad(body, draw_padding()) for body in bodies])


def encode_chunk(body: bytes, padding: int) -> bytes:
    """The frame of one chunk; `padding` in characters, from `SHORTEST` to `LONGEST`."""
    return encode_payloads(HEADERS, [_pad(body, padding)])


def _pad(body: bytes, padding: int) -> bytes:
    return b'{"bytes":"' + b2a_base64(body, newline=False) + ENDS[padding]
