"""Conversion of bytes to JSON that people can read and edit, and back to the same bytes."""

import json
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from functools import partial
from typing import Any

from invoke_api.cassettes.sse import event_data
from invoke_api.wire.eventstream import FrameError, decode_frame, encode_frame

# JSON writers: "compact" is Bedrock's and JavaScript's, "spaced" is Python's.
JSON_STYLES = {
    "compact": partial(json.dumps, separators=(",", ":"), ensure_ascii=False, allow_nan=False),
    "spaced": partial(json.dumps, allow_nan=False),
    "compact-ascii": partial(json.dumps, separators=(",", ":"), allow_nan=False),
    "spaced-utf8": partial(json.dumps, ensure_ascii=False, allow_nan=False),
}


def to_readable(raw: bytes) -> dict[str, Any]:
    """Return `{"json": value}`, with a `style` if it is not compact, or a `text`, or `base64`.

    The first of these from which `to_bytes` restores the bytes is used.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(raw).decode()}
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate can't be encoded
        styles = (name for name, write in JSON_STYLES.items() if write(value) == text)
        style = next(styles, None)
    except (ValueError, RecursionError):
        return {"text": text}
    if style is None:  # duplicate keys, unusual spelling of numbers, ...
        return {"text": text}
    return {"json": value} if style == "compact" else {"json": value, "style": style}


def to_bytes(readable: dict[str, Any]) -> bytes:
    """Return the bytes that `to_readable` was given."""
    if "base64" in readable:
        return b64decode(readable["base64"])
    if "text" in readable:
        text: str = readable["text"]
        return text.encode()
    return JSON_STYLES[readable.get("style", "compact")](readable["json"]).encode()


def frame_to_readable(frame: bytes) -> dict[str, Any]:
    """Return the `headers` and `payload` of an event-stream frame, and decode the chunk in it.

    Return the `text` of a server-sent event. Return `base64` if the bytes are neither, or could not
    be restored.
    """
    try:
        decoded = decode_frame(frame)
    except FrameError:
        is_event = event_data(frame) is not None
        return to_readable(frame) if is_event else {"base64": b64encode(frame).decode()}
    payload = to_readable(decoded.payload)
    chunk = payload["json"].get("bytes") if isinstance(payload.get("json"), dict) else None
    if isinstance(chunk, str):
        payload = {**payload, "json": {**payload["json"], "bytes": _open_chunk(chunk)}}
    readable = {"headers": dict(decoded.headers), "payload": payload}
    try:
        is_same = frame_to_bytes(readable) == frame
    except (AttributeError, Base64Error, ValueError):  # a header that is not a string
        is_same = False
    return readable if is_same else {"base64": b64encode(frame).decode()}


def _open_chunk(chunk: str) -> str | dict[str, Any]:
    try:
        return to_readable(b64decode(chunk, validate=True))
    except Base64Error:
        return chunk


def _is_readable(value: object) -> bool:
    """Tell whether `to_bytes` accepts this. The `bytes` of other payloads may hold anything."""
    if not isinstance(value, dict):
        return False
    for key in ("base64", "text"):
        if key in value:
            return isinstance(value[key], str)
    return "json" in value and str(value.get("style", "compact")) in JSON_STYLES


def frame_to_bytes(readable: dict[str, Any]) -> bytes:
    """Return the frame that `frame_to_readable` was given."""
    if "payload" not in readable:
        return to_bytes(readable)
    payload = readable["payload"]
    if isinstance(payload.get("json"), dict) and _is_readable(payload["json"].get("bytes")):
        chunk = b64encode(to_bytes(payload["json"]["bytes"])).decode()
        payload = {**payload, "json": {**payload["json"], "bytes": chunk}}
    return encode_frame(readable["headers"], to_bytes(payload))
