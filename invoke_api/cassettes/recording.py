"""A recorded call, and its JSON document in a cassette."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from invoke_api.cassettes.json_encoding import (
    frame_to_bytes,
    frame_to_readable,
    to_bytes,
    to_readable,
)

HeaderPairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedPart:
    """A body, or one frame of a stream. `at` is in milliseconds since the request was sent."""

    at: int
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A request and its response, with their bytes.

    `path` is as sent, with percent-encoding and query. `at` is when the head of the response came,
    in milliseconds since the request was sent. `parts` are frames if it `is_stream`, else one body.
    It is not `complete` if the service broke off.
    """

    recorded: str  # ISO 8601
    upstream: str
    method: str
    path: str
    request_headers: HeaderPairs
    request_body: bytes
    status: int
    headers: HeaderPairs
    at: int
    parts: tuple[RecordedPart, ...]
    is_stream: bool = False
    complete: bool = True

    def header(self, name: str) -> str | None:
        """Return the first response header of this name in any case, or None."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def to_document(self) -> dict[str, Any]:
        """Return the JSON document of `schemas/cassette.json`."""
        answer: dict[str, Any] = {
            "status": self.status,
            "headers": [f"{name}: {value}" for name, value in self.headers],
            "at": self.at,
            **({} if self.complete else {"complete": False}),
        }
        if self.is_stream:
            answer["frames"] = [
                {"at": part.at, **frame_to_readable(part.raw)} for part in self.parts
            ]
        else:
            answer["body"] = to_readable(b"".join(part.raw for part in self.parts))
        return {
            "cassette": 1,
            "recorded": self.recorded,
            "upstream": self.upstream,
            "request": {
                "method": self.method,
                "path": self.path,
                "headers": [f"{name}: {value}" for name, value in self.request_headers],
                "body": to_readable(self.request_body),
            },
            "response": answer,
        }


def to_recording(document: Mapping[str, Any]) -> Recording:
    """Return the recording of a document that is valid by `schemas/cassette.json`."""
    request, answer = document["request"], document["response"]
    frames = answer.get("frames")
    if frames is None:
        parts = [RecordedPart(at=answer["at"], raw=to_bytes(answer["body"]))]
    else:
        parts = [RecordedPart(at=frame["at"], raw=frame_to_bytes(frame)) for frame in frames]
    return Recording(
        recorded=document["recorded"],
        upstream=document["upstream"],
        method=request["method"],
        path=request["path"],
        request_headers=_to_headers(request["headers"]),
        request_body=to_bytes(request["body"]),
        status=answer["status"],
        headers=_to_headers(answer["headers"]),
        at=answer["at"],
        parts=tuple(parts),
        is_stream=frames is not None,
        complete=answer.get("complete", True),
    )


def _to_headers(lines: list[str]) -> HeaderPairs:
    pairs = (line.partition(":") for line in lines)
    return tuple((name, value.strip()) for name, _, value in pairs)
