"""The head of an HTTP/1.1 response: in Bedrock's order, and in one write with what follows it.

h11 (0.16) takes Transfer-Encoding out of the response and writes its own at the end, Bedrock has it
after Content-Type; no client cares but those that compare bytes. Hypercorn (0.18) gives head, body
and end to the socket one by one, and each costs as much as a small answer does.
"""

from typing import Any

import h11
from hypercorn.events import RawData
from hypercorn.protocol.events import Event, StreamClosed
from hypercorn.protocol.h11 import H11Protocol

MOVED = b"\r\nTransfer-Encoding: chunked"
PLACE = b"\r\nConnection: "


class OrderedProtocol(H11Protocol):
    """Hypercorn's HTTP/1.1, which holds the head of a response until its first bytes are there."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on as they come
        super().__init__(*args, **kwargs)
        self._held = b""

    async def _send_h11_event(self, event: Any) -> None:  # noqa: ANN401 - h11's
        try:
            data = self.connection.send(event) or b""
        except h11.LocalProtocolError:
            if self.connection.their_state != h11.ERROR:
                raise
            return
        if isinstance(event, h11.Response):
            self._held = put_in_order(data)
        elif data or self._held:
            held, self._held = self._held, b""
            await self.send(RawData(data=held + data))

    async def stream_send(self, event: Event) -> None:
        if isinstance(event, StreamClosed) and self._held:  # the application left it at the head
            held, self._held = self._held, b""
            await self.send(RawData(data=held))
        await super().stream_send(event)


def put_in_order(head: bytes) -> bytes:
    """A response's head with Transfer-Encoding, if it has one, in front of Connection."""
    if MOVED not in head or PLACE not in head:
        return head
    return head.replace(MOVED, b"").replace(PLACE, MOVED + PLACE, 1)
