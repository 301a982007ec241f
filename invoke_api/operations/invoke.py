"""InvokeModel and InvokeModelWithResponseStream."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from random import randint
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from engine.protocol import Delta
from invoke_api.operations.call import Operation
from invoke_api.operations.client import Calls
from invoke_api.operations.invocation import Invocation, open_invocation
from invoke_api.operations.replies import CutReply, EventStream, Reply
from invoke_api.rules.playing import Broken
from invoke_api.wire.chunks import LONGEST, SHORTEST, encode_chunk
from invoke_api.wire.errors import InvokeError
from invoke_api.wire.eventstream import tear

T = TypeVar("T")

INVOKE_MODEL = Operation("InvokeModel", accept="accept")
INVOKE_MODEL_WITH_RESPONSE_STREAM = Operation(
    "InvokeModelWithResponseStream", accept="x-amzn-bedrock-accept"
)


async def invoke_model(request: Request) -> Response:
    return await answer_whole(request, await open_invocation(request, INVOKE_MODEL))


async def invoke_model_with_response_stream(request: Request) -> Response:
    invocation = await open_invocation(request, INVOKE_MODEL_WITH_RESPONSE_STREAM)
    return await answer_streamed(request, invocation)


async def answer_whole(request: Request, invocation: Invocation) -> Response:
    calls: Calls = request.state.calls
    try:
        body = await calls.unless_client_leaves(request.receive, complete(invocation))
    except Broken:
        return CutReply(request)
    more = invocation.metrics().to_headers() | invocation.repeated
    return Reply(request, body, more=more)


async def answer_streamed(request: Request, invocation: Invocation) -> Response:
    frames = to_frames(invocation.deltas(), partial(_to_frame, invocation))
    return EventStream(request, await first_of(request, frames), frames, more=invocation.repeated)


async def first_of(request: Request, frames: AsyncGenerator[bytes, None]) -> bytes:
    """Awaited before the status line, so that early failures keep their own."""
    calls: Calls = request.state.calls
    try:
        return await calls.unless_client_leaves(request.receive, anext(frames))
    except BaseException:
        await frames.aclose()
        raise


async def complete(invocation: Invocation) -> bytes:
    texts = []
    finish = None
    async for delta in invocation.deltas():
        texts.append(delta.text)
        finish = delta.finish
    assert finish is not None, "an engine's last delta has a finish"
    assert invocation.writer, "what has an end is written"
    return invocation.writer.reply("".join(texts), finish)


async def to_frames(
    parts: AsyncGenerator[T, None], encode: Callable[[T], bytes]
) -> AsyncGenerator[bytes, None]:
    """A frame for each part. A failure after the first is a frame too, and the last one.

    So is what the model server refuses: Bedrock has said 200 by the time it hears of that.
    """
    begun = False
    try:
        async with aclosing(parts):
            async for part in parts:
                yield encode(part)
                begun = True
    except InvokeError as error:
        if not begun and not error.in_stream:
            raise
        yield error.to_frame()
    except Broken as broken:
        # Something must come first, or there would be no stream to break.
        yield tear(encode_chunk(b"{}", SHORTEST)) if broken.torn else b""
        raise


def _to_frame(invocation: Invocation, delta: Delta) -> bytes:
    assert invocation.writer, "a delta is written"
    metrics = invocation.metrics() if delta.finish else None
    padding = randint(SHORTEST, LONGEST)  # noqa: S311 - hides nothing that is secret here
    return encode_chunk(invocation.writer.chunk(delta, metrics), padding)
