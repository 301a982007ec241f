"""The events of streams: chunks of InvokeModelWithResponseStream, and those of ConverseStream."""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from functools import lru_cache
from random import random
from typing import Any

import orjson

from invoke_api.wire.errors import JSON
from invoke_api.wire.eventstream import encode_headers, encode_payloads
from invoke_api.wire.json_text import write_json

HEADERS = encode_headers({":event-type": "chunk", ":content-type": JSON, ":message-type": "event"})
# Bedrock pads each event with the beginning of this alphabet, of a length drawn evenly from
# 2 to 61, so that the size of a frame tells nobody the length of a token.
ALPHABET = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
SHORTEST, LONGEST = 2, 61


def draw_padding() -> int:
    """Draw the padding of an event; randint takes ten times as long."""
    return SHORTEST + int(random() * (LONGEST - SHORTEST + 1))  # noqa: S311 - hides no secret


def encode_chunks(bodies: Iterable[bytes]) -> bytes:
    """Return the frames of these chunks, each with a padding of its own."""
    payloads = [_pad(body, draw_padding()) for body in bodies]
    return encode_payloads(HEADERS, payloads)


def encode_chunk(body: bytes, padding: int) -> bytes:
    """The frame of one chunk; `padding` in characters, from `SHORTEST` to `LONGEST`."""
    return encode_payloads(HEADERS, [_pad(body, padding)])


def _pad(body: bytes, padding: int) -> bytes:
    return b'{"bytes":"%b","p":"%b"}' % (b64encode(body), ALPHABET[:padding])


def encode_event(kind: str, payload: Mapping[str, Any], padding: int) -> bytes:
    """Return one frame; `padding` in characters, as for a chunk."""
    padded = {**payload, "p": ALPHABET[:padding].decode()}
    return encode_payloads(_headers(kind), [encode_sorted(padded)])


def encode_sorted(document: Mapping[str, Any]) -> bytes:
    """Compact JSON whose keys are in alphabetical order, as Converse has them."""
    return write_json(document, orjson.OPT_SORT_KEYS)


@lru_cache(maxsize=16)
def _headers(kind: str) -> bytes:
    return encode_headers({":event-type": kind, ":content-type": JSON, ":message-type": "event"})
