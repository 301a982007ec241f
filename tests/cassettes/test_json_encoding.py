"""Readable JSON restores any bytes exactly."""

import json
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_api.cassettes.json_encoding import (
    frame_to_bytes,
    frame_to_readable,
    to_bytes,
    to_readable,
)
from invoke_api.wire.errors import ThrottlingException
from invoke_api.wire.events import encode_chunk
from invoke_api.wire.eventstream import encode_frame, encode_payloads, tear

READABLE: list[tuple[bytes, dict[str, object]]] = [
    (b'{"prompt":"Hi"}', {"json": {"prompt": "Hi"}}),
    (b'{"prompt": "Hi"}', {"json": {"prompt": "Hi"}, "style": "spaced"}),
    ('{"a":"ü"}'.encode(), {"json": {"a": "ü"}}),
    (b'{"a":"\\u00fc"}', {"json": {"a": "ü"}, "style": "compact-ascii"}),
    ('{"a": "ü"}'.encode(), {"json": {"a": "ü"}, "style": "spaced-utf8"}),
    (b'{"a":1,"a":2}', {"text": '{"a":1,"a":2}'}),
    (b'{"a":1.50}', {"text": '{"a":1.50}'}),
    (b'{"a":"\\ud800"}', {"text": '{"a":"\\ud800"}'}),
    (b"NaN", {"text": "NaN"}),
    (b"", {"text": ""}),
    (b"\xff", {"base64": "/w=="}),
]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.mark.parametrize(("raw", "readable"), READABLE, ids=[str(raw) for raw, _ in READABLE])
def test_json_is_read_and_what_is_not_stays_as_it_is(
    raw: bytes, readable: dict[str, object]
) -> None:
    assert to_readable(raw) == readable
    assert to_bytes(readable) == raw


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode(errors="replace")))
def test_any_bytes_come_back(raw: bytes) -> None:
    readable = json.loads(json.dumps(to_readable(raw)))

    assert to_bytes(readable) == raw


CHUNK = encode_chunk(b'{"outputs":[{"text":" A","stop_reason":null}]}', 5)
FRAMES = {
    "chunk": CHUNK,
    "exception": ThrottlingException().to_frame(),
    "torn": tear(CHUNK),
    "cut": CHUNK[:20],
    "boolean header": encode_payloads(b"\x01a\x00", [b"{}"]),
    "bytes that are no base64": encode_frame({"a": "b"}, b'{"bytes":"*"}'),
    "base64 of no JSON": encode_frame({"a": "b"}, b'{"bytes":"%b"}' % b64encode(b"\xff")),
    "no JSON": encode_frame({}, b"\xff"),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_any_frame_comes_back(frame: bytes) -> None:
    assert frame_to_bytes(json.loads(json.dumps(frame_to_readable(frame)))) == frame


def test_a_chunk_is_read_to_its_text() -> None:
    readable = frame_to_readable(CHUNK)

    assert readable["headers"][":event-type"] == "chunk"
    assert readable["payload"]["json"] == {
        "bytes": {"json": {"outputs": [{"text": " A", "stop_reason": None}]}},
        "p": "abcde",
    }
