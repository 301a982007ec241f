"""The client at the other end: its body, and whether it is still there."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.types import Receive

from invoke_api.operations.stepping import Done, Pending, begin
from invoke_api.wire.errors import ValidationException
from invoke_api.wire.front_door_errors import RequestTimeoutException

BODY_LIMIT = 25_000_000  # bytes: botocore's service model, shape Body
DROP_LIMIT = 4 * BODY_LIMIT
BODY_SECONDS = 120.0  # for a whole body: 25 MB at 1.7 Mbit/s; guess

T = TypeVar("T")


class ClientLeft(Exception):
    """Nobody is left to answer."""


class Calls:
    """The calls under way, which the end of the service ends with an answer.

    They `are_last` once it has been told to stop.
    """

    def __init__(self) -> None:
        self.are_last = False
        self.ending = False
        self._jobs: set[asyncio.Task[Any]] = set()

    def end(self) -> None:
        """Cancel all calls; who is cancelled while `ending` says so to its client."""
        self.ending = True
        for job in self._jobs:
            job.cancel()

    async def unless_client_leaves(self, receive: Receive, work: Coroutine[Any, Any, T]) -> T:
        """The result of the work, which is cancelled at once if the client hangs up: `ClientLeft`.

        Starlette watches the client for streams only, in a task group of its own for each. Work
        that never waits is not watched at all.
        """
        begun = begin(work)
        if isinstance(begun, Done):
            return begun.value
        job = asyncio.current_task()
        assert job is not None, "a request has a task"
        watch = asyncio.ensure_future(_hang_up(receive))
        is_over = False
        watch.add_done_callback(lambda _: is_over or job.cancel())
        self._jobs.add(job)
        try:
            result = await begun
        except asyncio.CancelledError:
            if not watch.done():
                raise
            job.uncancel()
            raise ClientLeft from None
        finally:
            is_over = True
            self._jobs.discard(job)
            if watch.cancel():
                with suppress(asyncio.CancelledError):
                    await watch
        # A server says only once that the client has left, so nobody after us hears it.
        if not watch.cancelled():
            raise ClientLeft
        return result


async def read_body(request: Request, limit: int = BODY_LIMIT) -> bytes:
    """Return the request's body.

    Raise `ValidationException` over the limit, `ClientLeft`, and `RequestTimeoutException` if the
    body has not come in `BODY_SECONDS`, however it drips.

    An answer before the end of the body would cut off a client that is still sending it, so the
    rest of one that is too large is read and dropped, up to a second limit.
    """
    begun: Done[bytes] | Pending[bytes] = begin(_read_body(request, limit))
    if isinstance(begun, Done):
        return begun.value
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await begun
    except TimeoutError as error:
        raise RequestTimeoutException from error


async def _read_body(request: Request, limit: int) -> bytes:
    parts = []
    size = 0
    more = True
    while more and size <= DROP_LIMIT:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        part = message.get("body", b"")
        size += len(part)
        if size <= limit:
            parts.append(part)
        more = message.get("more_body", False)
    if size > limit:
        raise ValidationException(
            "1 validation error detected: Value at 'body' failed to satisfy constraint:"
            f" Member must have length less than or equal to {limit}"
        )
    return b"".join(parts)


async def _hang_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
