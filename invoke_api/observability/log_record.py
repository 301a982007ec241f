"""Records of the invocation log: ModelInvocationLog, as in the User Guide and on Bedrock."""

from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from invoke_api.wire.errors import JSON_CONTENT_TYPE
from invoke_api.wire.eventstream import decode_frame, split_frames
from invoke_api.wire.json_text import read_json, write_json

# The User Guide: larger bodies and bodies other than JSON go to S3, and not into the record.
MAX_LOGGED_BODY_BYTES = 100 * 1024
SSE_DONE = b"data: [DONE]"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedCall:
    """A call that has ended. `request` and `response` are None if they are too long.

    `inference_region` is the region that answered a call through an inference profile.
    """

    moment: datetime
    account: str
    arn: str
    region: str
    request_id: str
    operation: str
    model_id: str
    error: str | None
    metadata: bytes | None
    request: bytes | None
    response: bytes | None
    input_tokens: int | None
    output_tokens: int | None
    inference_region: str | None


def to_record(call: LoggedCall) -> dict[str, Any]:
    """Return the record of a call. Its keys are in the order that was recorded from Bedrock.

    Guess: the positions of `requestMetadata` and `inferenceRegion`.
    """
    record: dict[str, Any] = {
        "schemaType": "ModelInvocationLog",
        "schemaVersion": "1.0",
        "timestamp": f"{call.moment:%Y-%m-%dT%H:%M:%SZ}",
        "accountId": call.account,
        "identity": {"arn": call.arn},
        "region": call.region,
        "requestId": call.request_id,
        "operation": call.operation,
        "modelId": call.model_id,
    }
    if (metadata := _read_json(call.metadata)) is not None:
        record["requestMetadata"] = metadata
    if call.error is not None:
        return {**record, "errorCode": call.error}
    answer = _read_answer(call)
    record["input"] = _side("input", _read_json(call.request), call.input_tokens)
    record["output"] = _side("output", answer, call.output_tokens)
    if call.inference_region is not None:
        record["inferenceRegion"] = call.inference_region
    return record


def _side(side: str, body: object, tokens: int | None) -> dict[str, object]:
    parts = {"ContentType": JSON_CONTENT_TYPE, "BodyJson": body, "TokenCount": tokens}
    return {side + name: value for name, value in parts.items() if value is not None}


def is_sse(response: bytes | None) -> bool:
    """Tell whether a response is a stream of the OpenAI API."""
    return response is not None and response.startswith(b"data: ")


def _read_answer(call: LoggedCall) -> object:
    if not call.operation.endswith("Stream"):
        return _read_json(call.response)
    try:
        chunks = None if call.response is None else list(_read_chunks(call.response))
    except ValueError:  # also a FrameError, if a rule has torn a frame
        return None
    return chunks if len(write_json(chunks)) <= MAX_LOGGED_BODY_BYTES else None


def _read_json(body: bytes | None) -> object:
    if body is None or len(body) > MAX_LOGGED_BODY_BYTES:
        return None
    try:
        document: object = read_json(body)
    except ValueError:
        return None
    return document


def _read_chunks(stream: bytes) -> Iterator[object]:
    """Yield the contents of a stream's events: chunks of a model, or events of Converse."""
    if is_sse(stream):
        events = stream.removesuffix(b"\n\n").split(b"\n\n")
        yield from (read_json(event[len(b"data: ") :]) for event in events if event != SSE_DONE)
        return
    for raw in split_frames(stream)[0]:
        frame = decode_frame(raw)
        payload = read_json(frame.payload)
        if frame.headers.get(":event-type") == "chunk":
            yield read_json(b64decode(payload["bytes"]))
        else:
            payload.pop("p", None)
            yield {frame.headers.get(":event-type"): payload}
