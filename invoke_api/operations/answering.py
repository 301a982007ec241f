"""What all operations do with deltas: collect them, or make a stream of frames of them."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TypeVar

from starlette.requests import Request

from engine.protocol import Deltas, Finish
from invoke_api.operations.client import Calls
from invoke_api.rules.playing import Broken
from invoke_api.wire.chunks import SHORTEST, encode_chunk
from invoke_api.wire.errors import InvokeError
from invoke_api.wire.eventstream import tear

T = TypeVar("T")


async def collect(deltas: Deltas) -> tuple[str, Finish]:
    """The whole text, and why it ended."""
    texts = []
    finish = None
    async with aclosing(deltas):
        async for delta in deltas:
            texts.append(delta.text)
            finish = delta.finish
    assert finish is not None, "an engine's last delta has a finish"
    return "".join(texts), finish


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


async def first_of(request: Request, frames: AsyncGenerator[bytes, None]) -> bytes:
    """Awaited before the status line, so that early failures keep their own."""
    calls: Calls = request.state.calls
    try:
        return await calls.unless_client_leaves(request.receive, anext(frames))
    except BaseException:
        await frames.aclose()
        raise
