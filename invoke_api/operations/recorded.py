"""A recording as an answer: what it says for the journal and the rules, and its very bytes."""

import asyncio
from time import monotonic, time

from starlette.requests import Request
from starlette.responses import Response

from engine.protocol import Delta, Deltas
from engine.transcript import BATCH
from invoke_api.cassettes.heard import failure_of, to_deltas
from invoke_api.cassettes.recording import Part, Recording
from invoke_api.journal import Entry, Failure
from invoke_api.operations.answering import first_of, to_frames, whole
from invoke_api.operations.aside import LONG_BODY
from invoke_api.operations.measured import Measured
from invoke_api.operations.passing import Headers, PassedReply, PassedStream, passed_headers
from invoke_api.operations.replies import EventStream
from invoke_api.operations.services import services_of
from invoke_api.rules.book import Verdict
from invoke_api.rules.playing import Broken, faulty, paced, silence
from invoke_api.wire.headers import http_date

NOTHING = Part(at=0, raw=b"")


def to_source(
    request: Request,
    recording: Recording | None,
    verdict: Verdict | None,
    entry: Entry,
    began: float,
) -> Deltas:
    """The recorded deltas, or none of them, and what a rule makes of them."""
    pace, fault = (verdict.pace, verdict.fault) if verdict else (None, None)
    # A rule's pace goes before the recorded one.
    timed = services_of(request).replay.timed and not pace
    source = recorded(recording, entry, began if timed else None) if recording else silence()
    if fault:
        source = faulty(source, fault, entry.model_id)
    return paced(source, pace) if pace else source


async def recorded(recording: Recording, entry: Entry, began: float | None) -> Deltas:
    """A delta for each frame, or for each token of a whole body, at their time since `began`.

    A long one is read in a thread, and the loop runs between `BATCH` deltas and the next.

    Raises `Broken` where the service broke off.
    """
    size = sum(len(part.raw) for part in recording.parts)
    # The operator's own recordings are no caller's work, so no caller's share of the threads.
    deltas = (
        await asyncio.to_thread(to_deltas, recording) if size > LONG_BODY else to_deltas(recording)
    )
    if not recording.is_stream:  # its tokens did not come one by one, and can still be counted
        usage = deltas[-1].usage
        deltas = [Delta("")] * (usage.output_tokens - 1 if usage else 0) + deltas
    early = len(deltas) - len(recording.parts)
    for number, delta in enumerate(deltas):
        if began is not None and recording.parts:
            at = recording.parts[max(0, number - early)].at / 1000
            await asyncio.sleep(began + at - monotonic())
        elif number and not number % BATCH:
            await asyncio.sleep(0)
        if delta.finish and (failure := failure_of(recording)):
            entry.fail_as(Failure(*failure), recording.status)
        yield (delta,)
    if not recording.complete:
        raise Broken


async def play(request: Request, recording: Recording | None, measured: Measured) -> Response:
    """The recorded bytes. Without a recording there is a fault, which comes of itself."""
    deltas = measured.deltas()
    if recording.is_stream if recording else measured.entry.operation.endswith("Stream"):
        parts = iter(recording.parts if recording else ())
        frames = to_frames(deltas, lambda _: next(parts, NOTHING).raw)
        first = await first_of(request, frames)
        if recording is None:
            return EventStream(request, first, frames, more={})
        return PassedStream(request, to_headers(request, recording), first, frames)
    await whole(request, deltas)
    assert recording, "a fault without a recording raises"
    body = b"".join(part.raw for part in recording.parts)
    return PassedReply(recording.status, to_headers(request, recording), body)


def to_headers(request: Request, recording: Recording) -> Headers:
    """As they were, but for the date, to which SDKs set their clocks, and the length of a body."""
    fresh = {"date": http_date(int(time()))}
    if not recording.is_stream:
        fresh["content-length"] = str(sum(len(part.raw) for part in recording.parts))
    return passed_headers(
        request, [(name, fresh.get(name.lower(), value)) for name, value in recording.headers]
    )
