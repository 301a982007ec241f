"""Transfer-Encoding where Bedrock has it: after Content-Type.

h11 (0.16) takes the header out of the response and writes its own at the end; Hypercorn (0.18)
leaves it to h11. No client cares but those that compare bytes.
"""

from typing import Any

import h11
import hypercorn.protocol
from hypercorn.events import RawData
from hypercorn.protocol.h11 import H11Protocol

MOVED = b"\r\nTransfer-Encoding: chunked"
PLACE = b"\r\nConnection: "


class OrderedProtocol(H11Protocol):
    """Hypercorn's HTTP/1.1, which puts the headers of a response into Bedrock's order."""

    async def _send_h11_event(self, event: Any) -> None:  # noqa: ANN401 - h11's
        if isinstance(event, h11.Response):
            try:
                head = self.connection.send(event)
            except h11.LocalProtocolError:
                if self.connection.their_state != h11.ERROR:
                    raise
            else:
                await self.send(RawData(data=put_in_order(head or b"")))
        else:
            await super()._send_h11_event(event)


def put_in_order(head: bytes) -> bytes:
    """A response's head with Transfer-Encoding, if it has one, in front of Connection."""
    if MOVED not in head or PLACE not in head:
        return head
    return head.replace(MOVED, b"").replace(PLACE, MOVED + PLACE, 1)


def install() -> None:
    """Make Hypercorn use it for every HTTP/1.1 connection from now on."""
    hypercorn.protocol.H11Protocol = OrderedProtocol  # type: ignore[attr-defined]  # where Hypercorn looks
