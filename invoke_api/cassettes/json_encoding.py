"""Bytes as JSON that a person can read and edit, and that gives back the very same bytes."""

import json
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from functools import partial
from typing import Any

from invoke_api.wire.eventstream import FrameError, decode_frame, encode_frame

# How JSON documents are written by those who write them: Bedrock and JavaScript, Python, ...
STYLES = {
    "compact": partial(json.dumps, separators=(",", ":"), ensure_ascii=False, allow_nan=False),
    "spaced": partial(json.dumps, allow_nan=False),
    "compact-ascii": partial(json.dumps, separators=(",", ":"), allow_nan=False),
    "spaced-utf8": partial(json.dumps, ensure_ascii=False, allow_nan=False),
}


def to_readable(raw: bytes) -> dict[str, Any]:
    """`{"json": value}`, with a `style` unless it is compact; else `text`, else `base64`."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(raw).decode()}
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False).encode()  # half of a surrogate pair has no UTF-8
        styles = (name for name, write in STYLES.items() if write(value) == text)
        style = next(styles, None)
    except (ValueError, RecursionError):
        return {"text": text}
    if style is None:  # a key twice, a number as nobody else writes it, ...
        return {"text": text}
    return {"json": value} if style == "compact" else {"json": value, "style": style}


def to_bytes(readable: dict[str, Any]) -> bytes:
    """What `to_readable` was given."""
    if "base64" in readable:
        return b64decode(readable["base64"])
    if "text" in readable:
        text: str = readable["text"]
        return text.encode()
    return STYLES[readable.get("style", "compact")](readable["json"]).encode()


def frame_to_readable(frame: bytes) -> dict[str, Any]:
    """`headers` and `payload` of an event-stream frame, the payload's own `bytes` read as well.

    `base64` for what is no frame, or none that could be written again as it was.
    """
    try:
        decoded = decode_frame(frame)
    except FrameError:
        return {"base64": b64encode(frame).decode()}
    payload = to_readable(decoded.payload)
    chunk = payload["json"].get("bytes") if isinstance(payload.get("json"), dict) else None
    if isinstance(chunk, str):
        payload = {**payload, "json": {**payload["json"], "bytes": _open_chunk(chunk)}}
    readable = {"headers": dict(decoded.headers), "payload": payload}
    try:
        is_same = frame_to_bytes(readable) == frame
    except (AttributeError, Base64Error, ValueError):  # a header that is no string
        is_same = False
    return readable if is_same else {"base64": b64encode(frame).decode()}


def _open_chunk(chunk: str) -> str | dict[str, Any]:
    try:
        return to_readable(b64decode(chunk, validate=True))
    except Base64Error:
        return chunk


def _is_readable(value: object) -> bool:
    """Tell whether `to_bytes` accepts this; in other payloads, `bytes` may hold anything."""
    if not isinstance(value, dict):
        return False
    for key in ("base64", "text"):
        if key in value:
            return isinstance(value[key], str)
    return "json" in value and str(value.get("style", "compact")) in STYLES


def frame_to_bytes(readable: dict[str, Any]) -> bytes:
    """What `frame_to_readable` was given."""
    if "base64" in readable:
        return b64decode(readable["base64"])
    payload = readable["payload"]
    if isinstance(payload.get("json"), dict) and _is_readable(payload["json"].get("bytes")):
        chunk = b64encode(to_bytes(payload["json"]["bytes"])).decode()
        payload = {**payload, "json": {**payload["json"], "bytes": chunk}}
    return encode_frame(readable["headers"], to_bytes(payload))
