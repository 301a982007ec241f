"""A recording as an answer: what it says for the journal and the rules, and its very bytes."""

import asyncio
from collections.abc import Callable
from time import monotonic, time

from engine.production import BATCH, OVER, Production
from engine.protocol import Delta, Generation, Receiver
from invoke_api.cassettes.heard import failure_of, to_deltas
from invoke_api.cassettes.recording import Part, Recording
from invoke_api.journal import Failure
from invoke_api.pipeline.answer import Answer, Collector, Stream
from invoke_api.pipeline.aside import LONG_BODY
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.passing import passed_headers
from invoke_api.pipeline.replies import Reply, stream_headers
from invoke_api.pipeline.writers import Headers
from invoke_api.rules.book import Verdict
from invoke_api.rules.playing import Broken
from invoke_api.wire.headers import http_date

NOTHING = Part(at=0, raw=b"")


async def play(call: Call, recording: Recording | None, verdict: Verdict | None) -> Reply | None:
    """Answer with the recorded bytes. Without a recording there is a fault, which comes of itself.

    Return None for a stream, which is written here.
    """
    streams = recording.is_stream if recording else call.operation.endswith("Stream")
    sink: Collector | Stream = Collector()
    if streams:
        parts = iter(recording.parts if recording else ())
        headers = to_headers(call, recording) if recording else stream_headers(call, {})
        sink = Stream(call, headers, lambda _, __: next(parts, NOTHING).raw)
    answer = Answer(call, sink, verdict=verdict)
    # A rule's pace goes before the recorded one.
    timed = call.services.replay.timed and not (verdict and verdict.pace)
    answer.begin(generate(call, recording, answer, timed=timed))
    await answer.wait()
    if streams:
        return None
    assert recording, "a fault without a recording raises"
    body = b"".join(part.raw for part in recording.parts)
    return Reply(recording.status, to_headers(call, recording), body)


def generate(
    call: Call, recording: Recording | None, answer: Answer, *, timed: bool
) -> Callable[[Receiver], Generation]:
    """Return what feeds the answer a delta for each frame, or for each token of a whole body.

    With `timed` they come when they once came. A long recording is read in a thread, and the event
    loop runs between `BATCH` deltas and the next.
    """
    if recording is None:
        return lambda _: OVER

    async def feed(production: Production) -> None:
        entry, deltas = call.known_entry, await _read(recording)
        early = len(deltas) - len(recording.parts)
        for number, delta in enumerate(deltas):
            if timed and recording.parts:
                at = recording.parts[max(0, number - early)].at / 1000
                await asyncio.sleep(call.began + at - monotonic())
            elif number and not number % BATCH:
                await asyncio.sleep(0)
            await production.room()
            if delta.finish and (failure := failure_of(recording)):
                entry.fail_as(Failure(*failure), recording.status)
            answer.feed([delta])
        if not recording.complete:
            raise Broken

    return lambda receiver: Production(receiver, feed)


async def _read(recording: Recording) -> list[Delta]:
    size = sum(len(part.raw) for part in recording.parts)
    # The operator's own recordings are no caller's work, so no caller's share of the threads.
    deltas = (
        await asyncio.to_thread(to_deltas, recording) if size > LONG_BODY else to_deltas(recording)
    )
    if recording.is_stream:
        return deltas
    # The tokens of a whole body did not come one by one, and can still be counted.
    usage = deltas[-1].usage
    return [Delta("")] * (usage.output_tokens - 1 if usage else 0) + deltas


def to_headers(call: Call, recording: Recording) -> Headers:
    """As they were, but for the date, to which SDKs set their clocks, and the length of a body."""
    fresh = {"date": http_date(int(time()))}
    if not recording.is_stream:
        fresh["content-length"] = str(sum(len(part.raw) for part in recording.parts))
    headers = [(name, fresh.get(name.lower(), value)) for name, value in recording.headers]
    return passed_headers(call.http_version, headers)
