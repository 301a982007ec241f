"""The client at the other end: its body, and whether it is still there."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from invoke_api.wire.errors import ValidationException

BODY_LIMIT = 25_000_000  # bytes: botocore's service model, shape Body

T = TypeVar("T")


class ClientLeft(Exception):
    """Nobody is left to answer."""


async def read_body(request: Request) -> bytes:
    """The request's body. Raises `ValidationException` over the limit, `ClientLeft`."""
    parts = []
    size = 0
    try:
        async for part in request.stream():
            parts.append(part)
            size += len(part)
            if size > BODY_LIMIT:
                # Guess: no recording of Bedrock's words was found.
                raise ValidationException(f"The request body exceeds {BODY_LIMIT} bytes.")
    except ClientDisconnect:
        raise ClientLeft from None
    return b"".join(parts)


async def unless_client_leaves(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of the work, which is cancelled at once if the client hangs up: `ClientLeft`.

    Starlette watches the client for streams only, and only in a task group of its own for each.
    """
    job = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(_hang_up(receive))
    try:
        await asyncio.wait((job, watch), return_when=asyncio.FIRST_COMPLETED)
        # Asked first: a server says only once that the client has left, so nobody after us hears.
        if watch.done():
            raise ClientLeft
        return job.result()
    finally:
        for task in (job, watch):
            if task.cancel():
                with suppress(asyncio.CancelledError):
                    await task


async def _hang_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
