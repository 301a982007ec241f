"""What all operations do with deltas: collect them, or make a stream of frames of them."""

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from random import random

from starlette.requests import Request

from engine.protocol import Delta, Deltas, Finish
from invoke_api.operations.services import services_of
from invoke_api.rules.playing import Broken
from invoke_api.wire.chunks import LONGEST, SHORTEST, encode_chunk
from invoke_api.wire.errors import InternalServerException, InvokeError
from invoke_api.wire.eventstream import tear

log = logging.getLogger(__name__)


async def whole(request: Request, deltas: Deltas) -> tuple[str, Finish]:
    """The whole text, and why it ended. Raises `ClientLeft`, `Broken` and `InvokeError`s."""
    calls = services_of(request).calls
    return await calls.unless_client_leaves(request.receive, _collect(deltas))


async def _collect(deltas: Deltas) -> tuple[str, Finish]:
    texts = []
    finish = None
    async with aclosing(deltas):
        async for batch in deltas:
            texts += [delta.text for delta in batch]
            finish = batch[-1].finish
    assert finish is not None, "an engine's last delta has a finish"
    return "".join(texts), finish


async def to_frames(
    deltas: Deltas, encode: Callable[[Delta], bytes]
) -> AsyncGenerator[bytes, None]:
    """Frames for each delta, those of a batch together. A failure after them is a frame too.

    So is what the model server refuses: Bedrock has said 200 by the time it hears of that.
    """
    begun = False
    try:
        async with aclosing(deltas):
            async for batch in deltas:
                yield b"".join(map(encode, batch))
                begun = True
    except InvokeError as error:
        if not begun and not error.in_stream:
            raise
        yield error.to_frame()
    except Broken as broken:
        # Something must come first, or there would be no stream to break.
        yield tear(encode_chunk(b"{}", SHORTEST)) if broken.torn else b""
        raise
    except Exception:  # what could not be written
        if not begun:
            raise
        log.exception("an answer breaks off")
        yield InternalServerException().to_frame()


def draw_padding() -> int:
    """Of an event, drawn evenly from `SHORTEST` to `LONGEST`; randint takes ten times as long."""
    return SHORTEST + int(random() * (LONGEST - SHORTEST + 1))  # noqa: S311 - hides no secret


async def first_of(request: Request, frames: AsyncGenerator[bytes, None]) -> bytes:
    """Awaited before the status line, so that early failures keep their own."""
    calls = services_of(request).calls
    try:
        return await calls.unless_client_leaves(request.receive, anext(frames))
    except BaseException:
        await frames.aclose()
        raise
