"""State that all connections of a service share: the application, limits, open connections."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config

from invoke_api.transport.limits import Limits

Address = tuple[str, int]


class StoppableConnection(Protocol):
    """A connection that the service can close."""

    def stop(self) -> None:
        """Close the connection once no request is in flight."""
        ...

    def abort(self) -> None:
        """Close the connection at once."""
        ...


@dataclass(slots=True, kw_only=True)
class SharedState:
    """The state of one service. `app` is any ASGI application.

    `state` comes from its lifespan, for `scope["state"]`. `config` and `context` are Hypercorn's,
    for HTTP/2. `is_ending` is true once the service was told to stop. `addresses` counts
    connections by client address. `refused` counts connections above the limits that are still
    open. `on_close` is called after each closed connection.
    """

    app: Any
    loop: asyncio.AbstractEventLoop
    limits: Limits
    state: Mapping[str, Any]
    config: Config
    context: WorkerContext
    is_ending: bool = False
    open: set[StoppableConnection] = field(default_factory=set)
    addresses: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    on_close: Callable[[], None] = lambda: None

    def is_full(self, host: str) -> bool:
        """Tell whether a limit allows no further connection of this client."""
        limits = self.limits
        too_many = self.addresses.total() >= limits.connections
        return too_many or self.addresses[host] >= limits.per_address

    def count(self, host: str) -> None:
        self.addresses[host] += 1

    def uncount(self, host: str) -> None:
        self.addresses[host] -= 1
        if not self.addresses[host]:
            del self.addresses[host]
        self.on_close()

    async def stop(self, seconds: float) -> bool:
        """Close idle connections now and the others after their answers.

        Return whether all are closed after at most so many seconds.
        """
        self.is_ending = True
        await self.context.terminated.set()
        for connection in list(self.open):
            connection.stop()
        return await self.wait_closed(seconds)

    async def wait_closed(self, seconds: float) -> bool:
        """Wait until all connections are closed. Return False after so many seconds."""
        closed = asyncio.Event()
        self.on_close = lambda: None if self.open else closed.set()
        if not self.open:
            return True
        try:
            async with asyncio.timeout(seconds):
                await closed.wait()
        except TimeoutError:
            return False
        return True

    def abort(self) -> None:
        """Close all connections at once."""
        for connection in list(self.open):
            connection.abort()
