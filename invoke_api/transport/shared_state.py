"""State that all connections of one service share: application, limits, who is connected."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config

from invoke_api.transport.limits import Limits

Address = tuple[str, int]


class Connection(Protocol):
    """A connection, seen by the service that ends it."""

    def stop(self) -> None:
        """Close once nothing is in flight."""
        ...

    def abort(self) -> None:
        """Hang up at once."""
        ...


@dataclass(slots=True, kw_only=True)
class Shared:
    """`app` is any ASGI application; `state` is what its lifespan gave, for `scope["state"]`.

    `config` and `context` are Hypercorn's, for HTTP/2. `is_ending` once the service is told to
    stop. `addresses` counts connections by client, `refused` those beyond the limits that are still
    being told. `on_close` is called after each that is closed.
    """

    app: Any
    loop: asyncio.AbstractEventLoop
    limits: Limits
    state: Mapping[str, Any]
    config: Config
    context: WorkerContext
    is_ending: bool = False
    open: set[Connection] = field(default_factory=set)
    addresses: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    on_close: Callable[[], None] = lambda: None

    def is_full(self, host: str) -> bool:
        """Tell whether this client may have no further connection, or nobody may."""
        limits = self.limits
        too_many = self.addresses.total() >= limits.connections
        return too_many or self.addresses[host] >= limits.per_address

    def take(self, host: str) -> None:
        self.addresses[host] += 1

    def release(self, host: str) -> None:
        self.addresses[host] -= 1
        if not self.addresses[host]:
            del self.addresses[host]
        self.on_close()

    async def stop(self, seconds: float) -> bool:
        """Close idle connections, the others after their answers; tell whether all are closed.

        Waits at most so many seconds.
        """
        self.is_ending = True
        await self.context.terminated.set()
        for connection in list(self.open):
            connection.stop()
        return await self.wait_closed(seconds)

    async def wait_closed(self, seconds: float) -> bool:
        """Wait until all connections are closed; tell whether they are, after so many seconds."""
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
        """Hang up on all."""
        for connection in list(self.open):
            connection.abort()
