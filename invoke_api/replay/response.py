"""A recording as an answer: what it says for the journal and the rules, and its very bytes."""

import asyncio
from collections.abc import Callable, Iterator
from itertools import islice
from time import monotonic, time

from engine.generation_task import BATCH, OVER, Production
from engine.protocol import Delta, Generation, Receiver
from invoke_api.cassettes.answer_reader import failure_of, to_deltas
from invoke_api.cassettes.asgi_messages import passed_headers
from invoke_api.cassettes.recording import Part, Recording
from invoke_api.observability.journal import Entry, Failure
from invoke_api.pipeline.answer import Answer, Collector, Stream
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.offload import LONG_BODY
from invoke_api.pipeline.responses import Reply, stream_headers
from invoke_api.rules.playback import Broken
from invoke_api.rules.rule_book import Verdict
from invoke_api.transport.writer_extension import Headers
from invoke_api.wire.headers import http_date


async def play(
    call: Call, entry: Entry, recording: Recording | None, verdict: Verdict | None
) -> Reply | None:
    """Answer with the recorded bytes. Without a recording there is a fault, which comes of itself.

    Return None for a stream, which is written here.
    """
    streams = recording.is_stream if recording else call.operation.endswith("Stream")
    sink: Collector | Stream = Collector()
    if streams:
        parts = iter(recording.parts if recording else ())
        headers = to_headers(call, recording) if recording else stream_headers(call, {})
        sink = Stream(call, headers, lambda deltas, _: b"".join(_raw(parts, len(deltas))))
    answer = Answer(call, entry, sink, verdict=verdict)
    # A rule's pace goes before the recorded one.
    timed = call.services.replay.timed and not (verdict and verdict.pace)
    answer.begin(generate(recording, answer, entry, began=call.began if timed else None))
    await answer.wait()
    if streams:
        return None
    assert recording, "a fault without a recording raises"
    body = b"".join(part.raw for part in recording.parts)
    return Reply(recording.status, to_headers(call, recording), body)


def generate(
    recording: Recording | None, answer: Answer, entry: Entry, *, began: float | None
) -> Callable[[Receiver], Generation]:
    """Return what feeds the answer a delta for each frame, or for each token of a whole body.

    If the call `began` at a time of the monotonic clock, they come when they once came. A long
    recording is read in a thread, and the event loop runs between `BATCH` deltas and the next.
    """
    if recording is None:
        return lambda _: OVER

    async def feed(production: Production) -> None:
        deltas = await _read(recording)
        early = len(deltas) - len(recording.parts)
        for number, delta in enumerate(deltas):
            if began is not None and recording.parts:
                at = recording.parts[max(0, number - early)].at / 1000
                await asyncio.sleep(began + at - monotonic())
            elif number and not number % BATCH:
                await asyncio.sleep(0)
            await production.room()
            if delta.finish and (failure := failure_of(recording)):
                entry.fail_as(Failure(*failure), recording.status)
            answer.feed([delta])
        if not recording.complete:
            raise Broken

    return lambda receiver: Production(receiver, feed)


def _raw(parts: Iterator[Part], count: int) -> list[bytes]:
    return [part.raw for part in islice(parts, count)]


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
