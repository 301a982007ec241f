"""The bytes of a `chunk` event."""

import json
from base64 import b64decode

import pytest

from invoke_api.wire.events import MAX_PADDING_CHARACTERS, MIN_PADDING_CHARACTERS, encode_chunk
from invoke_api.wire.eventstream import decode_frame


@pytest.mark.parametrize("padding", [MIN_PADDING_CHARACTERS, 30, MAX_PADDING_CHARACTERS])
def test_a_chunk_is_base64_and_padding_under_the_recorded_headers(padding: int) -> None:
    frame = decode_frame(encode_chunk(b'{"outputs":[]}', padding))
    payload = json.loads(frame.payload)

    assert list(frame.headers.items()) == [
        (":event-type", "chunk"),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ]
    assert list(payload) == ["bytes", "p"]
    assert b64decode(payload["bytes"]) == b'{"outputs":[]}'
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    assert payload["p"] == alphabet[:padding]
