"""The events of ConverseStream: padded as Bedrock pads them, keys in alphabetical order."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson

from invoke_api.wire.any_json import write_json
from invoke_api.wire.chunks import ALPHABET
from invoke_api.wire.errors import JSON
from invoke_api.wire.eventstream import encode_headers, encode_payloads


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
