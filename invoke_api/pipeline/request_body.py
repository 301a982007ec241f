"""Bodies of requests, and in-flight calls, which a disconnect or the service's end cancels."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from typing import Protocol

from starlette.types import Receive

from invoke_api.pipeline.thread_pool import Result
from invoke_api.transport.writer_extension import Writer
from invoke_api.wire.errors import (
    RequestTimeoutException,
    ServiceUnavailableException,
    ValidationException,
)

MAX_BODY_BYTES = 25_000_000  # bytes: botocore's service model, shape Body
MAX_DISCARDED_BODY_BYTES = 4 * MAX_BODY_BYTES
BODY_TIMEOUT_SECONDS = 120.0  # for a whole body, 25 MB at 1.7 Mbit/s. Guess


class ClientDisconnected(Exception):
    """The error of a call whose client has closed its connection or stream."""


class Stoppable(Protocol):
    """A call that can be stopped when the service ends."""

    @property
    def waits_for(self) -> str | None:
        """Return the id of the model whose engine has given this call no token yet, or None."""

    def stop(self) -> None: ...


class _WaitingTask:
    """A task that is cancelled when its client disconnects or the service ends."""

    waits_for = None

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task, "a call has a task"
        self.task = task
        self.reason: Exception | None = None

    def leave(self) -> None:
        self._end(ClientDisconnected())

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


class InFlightCalls:
    """The in-flight calls that are waiting. They get an error when the service ends.

    They `are_draining` once the service has received a signal to stop.
    """

    def __init__(self) -> None:
        self.are_draining = False
        self._waiting: set[Stoppable] = set()

    def add(self, call: Stoppable) -> None:
        self._waiting.add(call)

    def discard(self, call: Stoppable) -> None:
        self._waiting.discard(call)

    def end(self) -> None:
        """Stop all waiting calls with `ServiceUnavailableException`."""
        for call in list(self._waiting):
            call.stop()

    def waiting(self) -> Counter[str]:
        """Count the calls whose engine has not given them a token yet, by the id of the model."""
        return Counter(each.waits_for for each in self._waiting if each.waits_for)

    async def wait(self, writer: Writer, work: Awaitable[Result]) -> Result:
        """Return the result of `work`. Cancel it if the client disconnects or the service ends.

        Raises `ClientDisconnected`, and `ServiceUnavailableException` if the service ends.
        """
        waiting = _WaitingTask()
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


async def read_body(receive: Receive, limit: int = MAX_BODY_BYTES) -> bytes:
    """Return the request's body, of at most `limit` bytes.

    Raises `ValidationException` over the limit, `ClientDisconnected`, and `RequestTimeoutException`
    if the whole body has not arrived within `BODY_TIMEOUT_SECONDS`.

    A response before the end of the body would cut off a client that is still sending it. So the
    rest of a body over the limit is read and discarded, up to `MAX_DISCARDED_BODY_BYTES`.
    """
    try:
        async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
            return await _read_body(receive, limit)
    except TimeoutError as error:
        raise RequestTimeoutException from error


async def _read_body(receive: Receive, limit: int) -> bytes:
    parts = []
    size = 0
    more = True
    while more and size <= MAX_DISCARDED_BODY_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
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
