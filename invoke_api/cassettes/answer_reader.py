"""What a recorded answer says, part by part: its text, why it ended, how many tokens it took."""

import json
from base64 import b64decode
from typing import Any, NamedTuple

from engine.protocol import Delta, Finish, Usage
from invoke_api.cassettes.recording import Part, Recording
from invoke_api.wire.eventstream import FrameError, decode_frame

# Where the answers of Bedrock's operations have their text, why it ended, and their counts.
Path = tuple[str | int, ...]
TEXTS: tuple[Path, ...] = (
    ("outputs", 0, "text"),
    ("choices", 0, "message", "content"),
    ("choices", 0, "delta", "content"),
    ("output", "message", "content", 0, "text"),
    ("delta", "text"),
)
STOPS: tuple[Path, ...] = (
    ("outputs", 0, "stop_reason"),
    ("choices", 0, "stop_reason"),
    ("choices", 0, "finish_reason"),
    ("stopReason",),
)
COUNTS: tuple[tuple[Path, Path], ...] = (
    (
        ("amazon-bedrock-invocationMetrics", "inputTokenCount"),
        ("amazon-bedrock-invocationMetrics", "outputTokenCount"),
    ),
    (("usage", "inputTokens"), ("usage", "outputTokens")),
    (("usage", "prompt_tokens"), ("usage", "completion_tokens")),
)
COUNT_HEADERS = ("x-amzn-bedrock-input-token-count", "x-amzn-bedrock-output-token-count")
AT_THE_LIMIT = {"length", "max_tokens"}


class Failed(NamedTuple):
    """A recorded exception; Bedrock's name for it begins with a capital."""

    type: str
    message: str


def failure_of(recording: Recording) -> Failed | None:
    """The exception that an answer is, or ends with."""
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
    return Failed(kind[:1].upper() + kind[1:], str(message))


def to_deltas(recording: Recording) -> list[Delta]:
    """One for each part, the last with `finish` and `usage` unless the service broke off."""
    documents = [_document(recording, part) for part in recording.parts] or [{}]
    finish: Finish = "length" if _any(documents, STOPS) & AT_THE_LIMIT else "stop"
    deltas = [Delta("".join(_any([document], TEXTS))) for document in documents]
    if not recording.complete:
        return deltas
    return [*deltas[:-1], Delta(deltas[-1].text, finish, _usage(recording, documents))]


def _usage(recording: Recording, documents: list[dict[str, Any]]) -> Usage:
    counts = [
        int(count) if (count := recording.header(name) or "").isdecimal() else 0
        for name in COUNT_HEADERS
    ]
    for document in documents:
        for paths in COUNTS:
            found = [_at(document, path) for path in paths]
            if all(isinstance(count, int) for count in found):
                counts = found
    return Usage(*counts)


def _any(documents: list[dict[str, Any]], paths: tuple[Path, ...]) -> set[str]:
    found = (_at(document, path) for document in documents for path in paths)
    return {value for value in found if isinstance(value, str)}


def _document(recording: Recording, part: Part) -> dict[str, Any]:
    """The JSON object of one part, a chunk's own where the frame has one."""
    if not recording.is_stream:
        return _load(part.raw)
    try:
        document = _load(decode_frame(part.raw).payload)
    except FrameError:
        return {}
    chunk = document.get("bytes")
    return _load(b64decode(chunk)) if isinstance(chunk, str) else document


def _headers(part: Part) -> dict[str, Any]:
    try:
        return dict(decode_frame(part.raw).headers)
    except FrameError:
        return {}


def _load(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _at(value: Any, path: Path) -> Any:  # noqa: ANN401 - any JSON
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value
