"""The calls in flight: what ends them before their answers do, and the bodies of requests."""

import asyncio
from collections.abc import Awaitable
from typing import Protocol, TypeVar

from starlette.types import Receive

from invoke_api.transport.writer_extension import Writer
from invoke_api.wire.errors import (
    RequestTimeoutException,
    ServiceUnavailableException,
    ValidationException,
)

BODY_LIMIT = 25_000_000  # bytes: botocore's service model, shape Body
DROP_LIMIT = 4 * BODY_LIMIT
BODY_SECONDS = 120.0  # for a whole body: 25 MB at 1.7 Mbit/s; guess

T = TypeVar("T")


class ClientLeft(Exception):
    """Nobody is left to answer."""


class Stoppable(Protocol):
    """A call that can be told that the service ends."""

    def stop(self) -> None: ...


class _Waiting:
    """A task that waits until its work is done, its client leaves, or the service ends."""

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task, "a call has a task"
        self.task = task
        self.reason: Exception | None = None

    def leave(self) -> None:
        self._end(ClientLeft())

    def stop(self) -> None:
        self._end(ServiceUnavailableException())

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass

    def _end(self, reason: Exception) -> None:
        if self.reason is None:
            self.reason = reason
            self.task.cancel()


class Calls:
    """The calls that wait for something, which the end of the service ends with an answer.

    They `are_last` once the service has been told to stop.
    """

    def __init__(self) -> None:
        self.are_last = False
        self._waiting: set[Stoppable] = set()

    def add(self, call: Stoppable) -> None:
        self._waiting.add(call)

    def discard(self, call: Stoppable) -> None:
        self._waiting.discard(call)

    def end(self) -> None:
        """End all calls that wait; their clients are told that the service is not available."""
        for call in list(self._waiting):
            call.stop()

    async def wait(self, writer: Writer, work: Awaitable[T]) -> T:
        """Return the result of the work, which is cancelled if nobody needs it any more.

        Raises `ClientLeft` if the client has left, and `ServiceUnavailableException` if the service
        ends.
        """
        waiting = _Waiting()
        self.add(waiting)
        writer.listen(waiting)
        try:
            return await work
        except asyncio.CancelledError:
            if waiting.reason is None:
                raise
            waiting.task.uncancel()
            raise waiting.reason from None
        finally:
            writer.listen(None)
            self.discard(waiting)


async def read_body(receive: Receive, limit: int = BODY_LIMIT) -> bytes:
    """Return the request's body.

    Raise `ValidationException` over the limit, `ClientLeft`, and `RequestTimeoutException` if the
    body has not come in `BODY_SECONDS`, however it drips.

    An answer before the end of the body would cut off a client that is still sending it, so the
    rest of one that is too large is read and dropped, up to a second limit.
    """
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read_body(receive, limit)
    except TimeoutError as error:
        raise RequestTimeoutException from error


async def _read_body(receive: Receive, limit: int) -> bytes:
    parts = []
    size = 0
    more = True
    while more and size <= DROP_LIMIT:
        message = await receive()
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
