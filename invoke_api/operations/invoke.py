"""InvokeModel and InvokeModelWithResponseStream."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from random import randint

from starlette.requests import Request
from starlette.responses import Response

from engine.protocol import Delta
from invoke_api.operations.call import Operation
from invoke_api.operations.invocation import Invocation, open_invocation
from invoke_api.operations.replies import CutReply, EventStream, Reply
from invoke_api.operations.services import services_of
from invoke_api.rules.playing import Broken
from invoke_api.wire.chunks import LONGEST, SHORTEST, encode_chunk
from invoke_api.wire.errors import InvokeError
from invoke_api.wire.eventstream import tear

INVOKE_MODEL = Operation("InvokeModel", accept="accept")
INVOKE_MODEL_WITH_RESPONSE_STREAM = Operation(
    "InvokeModelWithResponseStream", accept="x-amzn-bedrock-accept"
)


async def invoke_model(request: Request) -> Response:
    invocation = await open_invocation(request, INVOKE_MODEL)
    calls = services_of(request).calls
    try:
        body = await calls.unless_client_leaves(request.receive, complete(invocation))
    except Broken:
        return CutReply(request)
    more = invocation.metrics().to_headers() | invocation.repeated
    return Reply(request, body, more=more)


async def invoke_model_with_response_stream(request: Request) -> Response:
    invocation = await open_invocation(request, INVOKE_MODEL_WITH_RESPONSE_STREAM)
    frames = to_frames(invocation)
    calls = services_of(request).calls
    try:
        # The first frame is awaited before the status line, so that early failures keep their own.
        first = await calls.unless_client_leaves(request.receive, anext(frames))
    except BaseException:
        await frames.aclose()
        raise
    return EventStream(request, first, frames, more=invocation.repeated)


async def complete(invocation: Invocation) -> bytes:
    texts = []
    finish = None
    async for batch in invocation.deltas():
        texts += [delta.text for delta in batch]
        finish = batch[-1].finish
    assert finish is not None, "an engine's last delta has a finish"
    return invocation.dialect.to_reply("".join(texts), finish)


async def to_frames(invocation: Invocation) -> AsyncGenerator[bytes, None]:
    """A chunk for each delta, those of a batch together. A failure after it is a frame too.

    So is what the model server refuses: Bedrock has said 200 by the time it hears of that.
    """
    begun = False
    try:
        async with aclosing(invocation.deltas()) as deltas:
            async for batch in deltas:
                yield b"".join([_to_frame(invocation, delta) for delta in batch])
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
    metrics = invocation.metrics() if delta.finish else None
    padding = randint(SHORTEST, LONGEST)  # noqa: S311 - hides nothing that is secret here
    return encode_chunk(invocation.dialect.to_chunk(delta, metrics), padding)
