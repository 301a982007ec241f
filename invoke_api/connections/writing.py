"""Writes to connections that can take them: at once, without a lock and without waiting.

Hypercorn (0.18) takes a lock around each write and asks afterwards whether to wait, which costs a
tenth of what a token does; both are for those that must wait.
"""

from hypercorn.asyncio import run
from hypercorn.events import Event, RawData

from invoke_api.connections.idling import IdlingServer


class WritingServer(IdlingServer):
    """The same server, which writes past the lock while nothing waits to be written."""

    async def protocol_send(self, event: Event) -> None:
        if type(event) is RawData and self._is_free():
            self.writer.write(event.data)
        else:
            await super().protocol_send(event)

    def _is_free(self) -> bool:
        transport = self.writer.transport
        return not (
            self.send_lock.locked() or transport.is_closing() or transport.get_write_buffer_size()
        )


def install() -> None:
    """Make Hypercorn use it for every connection from now on."""
    run.TCPServer = WritingServer  # type: ignore[attr-defined]  # where Hypercorn looks
