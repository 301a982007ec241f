"""Responses from recordings: the recorded bytes, and their tokens for rules and the journal."""

import asyncio
from collections.abc import Callable, Iterator
from itertools import islice
from time import monotonic, time

from engine.generation_task import BATCH_TOKENS, FINISHED, GenerationTask
from engine.protocol import Delta, Generation, Receiver
from invoke_api.cassettes.answer_reader import error_of, to_deltas
from invoke_api.cassettes.asgi_messages import forwarded_headers
from invoke_api.cassettes.recording import RecordedPart, Recording
from invoke_api.observability.journal import Entry, Failure
from invoke_api.pipeline.answer import Answer, Collector, Stream
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.offload import MAX_INLINE_BYTES
from invoke_api.pipeline.responses import HttpResponse, stream_headers
from invoke_api.rules.playback import ConnectionBreak
from invoke_api.rules.rule_book import Verdict
from invoke_api.transport.writer_extension import Headers
from invoke_api.wire.headers import http_date


async def write_recording(
    call: Call, entry: Entry, recording: Recording | None, verdict: Verdict | None
) -> HttpResponse | None:
    """Answer with the recorded bytes. Return None for a stream, which is already written.

    `recording` is None if the verdict's fault fires before the answer; its error is raised.
    """
    streams = recording.is_stream if recording else call.operation.endswith("Stream")
    sink: Collector | Stream = Collector()
    if streams:
        parts = iter(recording.parts if recording else ())
        headers = to_headers(call, recording) if recording else stream_headers(call, {})
        sink = Stream(call, headers, lambda deltas, _: b"".join(_raw(parts, len(deltas))))
    answer = Answer(call, entry, sink, verdict=verdict)
    # A rule's pace overrides the recorded one.
    timed = call.services.replay.timed and not (verdict and verdict.pace)
    answer.begin(generate(recording, answer, entry, began=call.began if timed else None))
    await answer.wait()
    if streams:
        return None
    assert recording, "a fault without a recording raises"
    body = b"".join(part.raw for part in recording.parts)
    return HttpResponse(recording.status, to_headers(call, recording), body)


def generate(
    recording: Recording | None, answer: Answer, entry: Entry, *, began: float | None
) -> Callable[[Receiver], Generation]:
    """Return a function that feeds the answer one delta per frame, or per token of a whole body.

    If `began` is given, the deltas keep their recorded times, counted from `began` in seconds of
    the monotonic clock. A long recording is read in a thread, and the producer yields to the event
    loop after every `BATCH_TOKENS` deltas.
    """
    if recording is None:
        return lambda _: FINISHED

    async def feed(task: GenerationTask) -> None:
        deltas = await _read(recording)
        early = len(deltas) - len(recording.parts)
        for number, delta in enumerate(deltas):
            if began is not None and recording.parts:
                at = recording.parts[max(0, number - early)].at / 1000
                await asyncio.sleep(began + at - monotonic())
            elif number and not number % BATCH_TOKENS:
                await asyncio.sleep(0)
            await task.wait_for_room()
            if delta.finish and (failure := error_of(recording)):
                entry.fail_as(Failure(*failure), recording.status)
            answer.feed([delta])
        if not recording.complete:
            raise ConnectionBreak

    return lambda receiver: GenerationTask(receiver, feed)


def _raw(parts: Iterator[RecordedPart], count: int) -> list[bytes]:
    return [part.raw for part in islice(parts, count)]


async def _read(recording: Recording) -> list[Delta]:
    size = sum(len(part.raw) for part in recording.parts)
    # Not in the shared pools: recordings are the operator's, and count for no caller.
    is_long = size > MAX_INLINE_BYTES
    deltas = await asyncio.to_thread(to_deltas, recording) if is_long else to_deltas(recording)
    if recording.is_stream:
        return deltas
    # One delta per token, so that the tokens of a whole body are counted.
    usage = deltas[-1].usage
    return [Delta("")] * (usage.output_tokens - 1 if usage else 0) + deltas


def to_headers(call: Call, recording: Recording) -> Headers:
    """Return the recorded headers, with the body's length and a new date, because SDKs use it."""
    fresh = {"date": http_date(int(time()))}
    if not recording.is_stream:
        fresh["content-length"] = str(sum(len(part.raw) for part in recording.parts))
    headers = [(name, fresh.get(name.lower(), value)) for name, value in recording.headers]
    return forwarded_headers(call.http_version, headers)
