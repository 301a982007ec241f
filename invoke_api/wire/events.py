"""The events of InvokeModelWithResponseStream (chunks) and of ConverseStream, as frames."""

from binascii import b2a_base64
from collections.abc import Iterable, Mapping
from functools import lru_cache
from random import random
from typing import Any

import orjson

from invoke_api.wire.errors import JSON_CONTENT_TYPE
from invoke_api.wire.eventstream import encode_headers, encode_payloads
from invoke_api.wire.json_text import write_json

CHUNK_HEADERS = encode_headers(
    {":event-type": "chunk", ":content-type": JSON_CONTENT_TYPE, ":message-type": "event"}
)
# Bedrock pads each event with the beginning of this alphabet, in a random length from 2 to 61, so
# that the size of a frame does not show the length of a token.
PADDING_ALPHABET = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
MIN_PADDING_CHARACTERS, MAX_PADDING_CHARACTERS = 2, 61
CHUNK_ENDS = {
    size: b'","p":"%b"}' % PADDING_ALPHABET[:size]
    for size in range(MIN_PADDING_CHARACTERS, MAX_PADDING_CHARACTERS + 1)
}


def draw_padding() -> int:
    """Return a random length of padding in characters. `randint` would take ten times as long."""
    lengths = MAX_PADDING_CHARACTERS - MIN_PADDING_CHARACTERS + 1
    return MIN_PADDING_CHARACTERS + int(random() * lengths)  # noqa: S311 - hides no secret


def encode_chunks(bodies: Iterable[bytes]) -> bytes:
    """Return the frames of these chunks, each with its own random padding."""
    return encode_payloads(CHUNK_HEADERS, [_pad(body, draw_padding()) for body in bodies])


def encode_chunk(body: bytes, padding: int) -> bytes:
    """Return the frame of one chunk, with `padding` characters of padding."""
    return encode_payloads(CHUNK_HEADERS, [_pad(body, padding)])


def _pad(body: bytes, padding: int) -> bytes:
    return b'{"bytes":"' + b2a_base64(body, newline=False) + CHUNK_ENDS[padding]


def encode_event(kind: str, payload: Mapping[str, Any], padding: int) -> bytes:
    """Return the frame of one event of ConverseStream, with `padding` characters of padding."""
    padded = {**payload, "p": PADDING_ALPHABET[:padding].decode()}
    return encode_payloads(_headers(kind), [encode_sorted(padded)])


def encode_sorted(document: Mapping[str, Any]) -> bytes:
    """Return compact JSON with its keys in alphabetical order, as Converse writes it."""
    return write_json(document, orjson.OPT_SORT_KEYS)


@lru_cache(maxsize=16)
def _headers(kind: str) -> bytes:
    return encode_headers(
        {":event-type": kind, ":content-type": JSON_CONTENT_TYPE, ":message-type": "event"}
    )
