"""Read the text, the stop reason and the token counts of a recorded answer."""

import json
from base64 import b64decode
from typing import Any, NamedTuple

from engine.protocol import Delta, Finish, Usage
from invoke_api.cassettes.recording import RecordedPart, Recording
from invoke_api.cassettes.sse import event_data
from invoke_api.wire.eventstream import FrameError, decode_frame

# Paths of the text, stop reason and token counts in the responses of Bedrock's operations.
JsonPath = tuple[str | int, ...]
TEXT_PATHS: tuple[JsonPath, ...] = (
    ("outputs", 0, "text"),
    ("choices", 0, "message", "content"),
    ("choices", 0, "delta", "content"),
    ("output", "message", "content", 0, "text"),
    ("delta", "text"),
    ("generated_text",),  # TGI's, at SageMaker's endpoints
)
STOP_REASON_PATHS: tuple[JsonPath, ...] = (
    ("outputs", 0, "stop_reason"),
    ("choices", 0, "stop_reason"),
    ("choices", 0, "finish_reason"),
    ("stopReason",),
)
TOKEN_COUNT_PATHS: tuple[tuple[JsonPath, JsonPath], ...] = (
    (
        ("amazon-bedrock-invocationMetrics", "inputTokenCount"),
        ("amazon-bedrock-invocationMetrics", "outputTokenCount"),
    ),
    (("usage", "inputTokens"), ("usage", "outputTokens")),
    (("usage", "prompt_tokens"), ("usage", "completion_tokens")),
)
TOKEN_COUNT_HEADERS = ("x-amzn-bedrock-input-token-count", "x-amzn-bedrock-output-token-count")
LENGTH_REASONS = {"length", "max_tokens"}


class RecordedError(NamedTuple):
    """A recorded error. `type` is Bedrock's name for it, in upper camel case."""

    type: str
    message: str


def error_of(recording: Recording) -> RecordedError | None:
    """Return the error that a response is, or that its stream ends with, or None."""
    kind: object = None
    if recording.status >= 400:
        named = recording.header("x-amzn-errortype") or str(recording.status)
        kind = named.partition(":")[0]
    elif recording.is_stream and recording.parts:
        kind = _headers(recording.parts[-1]).get(":exception-type")
    if not isinstance(kind, str) or not recording.parts:
        return None
    document = _document(recording, recording.parts[-1])
    message = document.get("message", document.get("Message", ""))
    return RecordedError(kind[:1].upper() + kind[1:], str(message))


def to_deltas(recording: Recording) -> list[Delta]:
    """Return a delta for each part. The last has `finish` and `usage` if the answer is complete."""
    documents = [_document(recording, part) for part in recording.parts] or [{}]
    finish: Finish = "length" if _any(documents, STOP_REASON_PATHS) & LENGTH_REASONS else "stop"
    deltas = [Delta("".join(_any([document], TEXT_PATHS))) for document in documents]
    if not recording.complete:
        return deltas
    return [*deltas[:-1], Delta(deltas[-1].text, finish, _usage(recording, documents))]


def _usage(recording: Recording, documents: list[dict[str, Any]]) -> Usage:
    counts = [
        int(count) if (count := recording.header(name) or "").isdecimal() else 0
        for name in TOKEN_COUNT_HEADERS
    ]
    for document in documents:
        for paths in TOKEN_COUNT_PATHS:
            found = [_at(document, path) for path in paths]
            if all(isinstance(count, int) for count in found):
                counts = found
    return Usage(*counts)


def _any(documents: list[dict[str, Any]], paths: tuple[JsonPath, ...]) -> set[str]:
    found = (_at(document, path) for document in documents for path in paths)
    return {value for value in found if isinstance(value, str)}


def _document(recording: Recording, part: RecordedPart) -> dict[str, Any]:
    """Return the JSON object of a part. If a frame has a chunk, return the chunk's object."""
    if not recording.is_stream:
        return _load(part.raw)
    if (data := event_data(part.raw)) is not None:
        return _load(data)
    try:
        document = _load(decode_frame(part.raw).payload)
    except FrameError:
        return {}
    chunk = document.get("bytes")
    return _load(b64decode(chunk)) if isinstance(chunk, str) else document


def _headers(part: RecordedPart) -> dict[str, Any]:
    try:
        return dict(decode_frame(part.raw).headers)
    except FrameError:
        return {}


def _load(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    if isinstance(value, list) and len(value) == 1:  # TGI's whole answer
        [value] = value
    return value if isinstance(value, dict) else {}


def _at(value: Any, path: JsonPath) -> Any:  # noqa: ANN401 - any JSON
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value
