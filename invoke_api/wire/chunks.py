"""The `chunk` events of InvokeModelWithResponseStream."""

from base64 import b64encode
from random import random

from invoke_api.wire.errors import JSON
from invoke_api.wire.eventstream import encode_headers, encode_payload

HEADERS = encode_headers({":event-type": "chunk", ":content-type": JSON, ":message-type": "event"})
# Bedrock pads each event with the beginning of this alphabet, of a length drawn evenly from
# 2 to 61, so that the size of a frame tells nobody the length of a token.
ALPHABET = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
SHORTEST, LONGEST = 2, 61


def draw_padding() -> int:
    """Draw the padding of an event; randint takes ten times as long."""
    return SHORTEST + int(random() * (LONGEST - SHORTEST + 1))  # noqa: S311 - hides no secret


def encode_chunk(body: bytes, padding: int) -> bytes:
    """The frame of one chunk; `padding` in characters, from `SHORTEST` to `LONGEST`."""
    payload = b'{"bytes":"%b","p":"%b"}' % (b64encode(body), ALPHABET[:padding])
    return encode_payload(HEADERS, payload)
