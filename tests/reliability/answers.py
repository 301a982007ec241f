"""Answers as clients receive them, and the outcomes of calls, named as in the metrics."""

import json
from base64 import b64decode
from dataclasses import dataclass, field

from invoke_api.wire.eventstream import FrameError
from tests.support.streams import split_frames

ANSWERED = "answered"
LEFT = "left"  # by the client, before the end
CUT = "cut"  # by the service, before the end, or with a frame that is torn
LAST_EVENTS = ("metadata", "messageStop")  # of ConverseStream; InvokeModel's chunks have metrics
METRICS = b"amazon-bedrock-invocationMetrics"


@dataclass(slots=True)
class Answer:
    """An answer. `is_whole` tells whether HTTP ended it. Header names are in lower case."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_whole: bool = False

    @property
    def outcome(self) -> str:
        """Return `answered`, `cut`, or the name of the error that AWS's SDKs raise."""
        if not self.is_whole:
            return CUT
        if self.headers.get("content-type") == "application/vnd.amazon.eventstream":
            return _of_stream(self.body)
        if kind := self.headers.get("x-amzn-errortype"):
            return kind.partition(":")[0]
        if b"com.amazon.coral.service#" in self.body:
            return str(json.loads(self.body)["Output"]["__type"].partition("#")[2])
        return ANSWERED if self.status == 200 else f"status {self.status}"


def _of_stream(body: bytes) -> str:
    try:
        *_, last = split_frames(body)
    except (FrameError, ValueError):  # a torn frame; no frame
        return CUT
    if name := last.headers.get(":exception-type"):
        assert isinstance(name, str), "a name is text"
        return name[0].upper() + name[1:]
    payload = json.loads(last.payload)
    is_last = last.headers.get(":event-type") in LAST_EVENTS
    return ANSWERED if is_last or _has_metrics(payload) else CUT


def _has_metrics(payload: dict[str, str]) -> bool:
    return METRICS in b64decode(payload.get("bytes", ""))
