"""`/_emulator/calls`: the journal for a page, with answers as the client got them."""

from base64 import b64encode
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from invoke_api.cassettes.json_encoding import frame_to_readable, to_readable
from invoke_api.cassettes.recording import HeaderPairs, RecordedPart, Recording
from invoke_api.cassettes.sse import SSE, SseReader
from invoke_api.cassettes.writer import to_slug, to_text
from invoke_api.control.responses import error_answer, json_answer
from invoke_api.observability.journal import MAX_JOURNAL_BODY_BYTES, Entry
from invoke_api.observability.kept_answer import KeptAnswer
from invoke_api.pipeline.services import services_of
from invoke_api.redaction import redact_text, redacted_headers, secrets_of
from invoke_api.wire.eventstream import FrameError, FrameReader

MAX_OPEN_CALLS = 1_000  # numbers in `?open=`
MAX_NUMBER = 1 << 53  # JavaScript's integers
UPSTREAM = "http://emulator.invalid"  # of recordings of the emulator's own answers


async def calls(request: Request, _: bytes) -> Response:
    """List summaries of calls with a number above `?after=`, and of those in `?open=`."""
    journal = services_of(request).journal
    query = request.query_params
    try:
        after = _to_number(query.get("after") or "0")
        numbers = [each for each in query.get("open", "").split(",") if each]
        if len(numbers) > MAX_OPEN_CALLS:
            return error_answer(f"open has more than {MAX_OPEN_CALLS:,} numbers")
        open_ = set(map(_to_number, numbers))
    except ValueError:
        return error_answer("after is a number, and open numbers with commas between them")
    found = journal.changed(after, open_)
    return json_answer({"calls": found, "count": len(journal), "last": journal.last})


def _to_number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_NUMBER))):
        raise ValueError(text)
    return int(text)


async def call(request: Request, _: bytes) -> Response:
    """Return one call with its answer: the head, the body, and each write of a stream."""
    entry = _find(request)
    if entry is None:
        return _not_found(request)
    return json_answer(
        {
            **entry.to_json(),
            "number": entry.number,
            "method": entry.method,
            "path": entry.path,
            "answer": _to_answer(entry),
        }
    )


async def recording(request: Request, _: bytes) -> Response:
    """Return one call as the file of a cassette."""
    entry = _find(request)
    if entry is None:
        return _not_found(request)
    kept = entry.answer
    if kept.status is None or entry.ended is None:
        return error_answer("the call has no answer yet", status=409)
    if kept.left_out or len(entry.body) >= MAX_JOURNAL_BODY_BYTES:
        sentence = f"the journal keeps {MAX_JOURNAL_BODY_BYTES:,} bytes, and this call has more"
        return error_answer(sentence, status=409)
    name = f"{to_slug(entry.path)}.json"
    return Response(
        to_text(_to_recording(entry).to_document()).encode(errors="backslashreplace"),
        media_type="application/json",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


def _find(request: Request) -> Entry | None:
    request_id = request.url.path.rpartition("/")[2]
    found = services_of(request).journal.found(request_id=request_id)
    return found[-1] if found else None


def _not_found(request: Request) -> Response:
    request_id = request.url.path.rpartition("/")[2][:100]
    sentence = f"The journal has no call {request_id!r}; it keeps the last calls only."
    return error_answer(sentence, status=404)


def _to_answer(entry: Entry) -> dict[str, Any]:
    kept = entry.answer
    answer: dict[str, Any] = {
        "status": kept.status,
        "headers": dict(redacted_headers(kept.headers)),
        "is_stream": kept.is_stream,
        "left_out": kept.left_out,
    }
    if kept.is_stream:
        reader = _reader(kept)
        answer["writes"] = [
            {
                "at_ms": kept.to_milliseconds(moment),
                "base64": b64encode(data).decode(),
                "frames": [frame_to_readable(frame) for frame in _split(reader, data)],
            }
            for moment, data in kept.writes
        ]
    elif kept.writes:
        answer["at_ms"] = kept.to_milliseconds(kept.writes[0][0])
        answer["body"] = to_readable(_without_secrets(entry, kept.writes[0][1]))
    return answer


def _reader(kept: KeptAnswer) -> FrameReader | SseReader:
    is_sse = any(
        name.lower() == b"content-type" and value.startswith(SSE.encode())
        for name, value in kept.headers
    )
    return SseReader() if is_sse else FrameReader()


def _split(reader: FrameReader | SseReader, data: bytes) -> list[bytes]:
    try:
        return reader.feed(data)
    except FrameError:  # a rule tore the frame
        return [reader.take()]


def _without_secrets(entry: Entry, raw: bytes) -> bytes:
    """Return the body of an answer without secrets: AWS's errors quote the signature."""
    if (entry.answer.status or 0) < 400:
        return raw
    text = redact_text(raw.decode("latin-1"), secrets_of(entry.headers))
    return text.encode("latin-1", errors="replace")


def _to_recording(entry: Entry) -> Recording:
    kept = entry.answer
    assert kept.status is not None, "the call is answered"
    parts: list[RecordedPart] = []
    reader = _reader(kept)
    for moment, data in kept.writes:
        raws = _split(reader, data) if kept.is_stream else [_without_secrets(entry, data)]
        at = round(kept.to_milliseconds(moment))
        parts += [RecordedPart(at=at, raw=raw) for raw in raws]
    rest = reader.take()
    if rest:
        parts.append(RecordedPart(at=parts[-1].at if parts else 0, raw=rest))
    return Recording(
        recorded=entry.came.isoformat(timespec="milliseconds"),
        upstream=UPSTREAM,
        method=entry.method,
        path=entry.path,
        request_headers=tuple(redacted_headers(entry.headers)),
        request_body=entry.body,
        status=kept.status,
        headers=_pairs(kept),
        at=parts[0].at if parts else 0,
        parts=tuple(parts),
        is_stream=kept.is_stream,
        complete=entry.ended not in ("cancelled", "cut"),
    )


def _pairs(kept: KeptAnswer) -> HeaderPairs:
    return tuple(redacted_headers(kept.headers))
