"""Connections that nobody uses: closed in time, by one task for each connection.

Hypercorn (0.18) ends such a task when a request begins and starts another when it is over, with a
timer and a task of its own inside: a quarter of what a small answer costs. And a connection that
the client has closed stays open on this side until that task has waited to its end.
"""

import asyncio
from typing import Any

from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.events import Event, Updated


class IdlingServer(TCPServer):
    """Hypercorn's side of a connection, which notes since when it has been idle."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on as they come
        super().__init__(*args, **kwargs)
        self._idle_since: float | None = self.loop.time()

    async def protocol_send(self, event: Event) -> None:
        if isinstance(event, Updated):
            self._idle_since = self.loop.time() if event.idle else None
            if not self.context.terminated.is_set():
                return
        # Once the service ends, what Hypercorn starts closes an idle connection at once.
        await super().protocol_send(event)

    async def _idle_timeout(self) -> None:
        left: float = self.config.keep_alive_timeout
        while left > 0:
            try:
                await asyncio.wait_for(self.context.terminated.wait(), left)
            except TimeoutError:
                since = self.loop.time() if self._idle_since is None else self._idle_since
                left = since + self.config.keep_alive_timeout - self.loop.time()
            else:
                break
        if self._idle_since is not None:
            await asyncio.shield(self._initiate_server_close())

    async def _read_data(self) -> None:
        await super()._read_data()
        await self.idle_task.stop()
