"""An ASGI extension with which an application writes an answer without waiting.

`scope["extensions"][WRITER_EXTENSION]["writer"]` is the `Writer` of a request's answer;
docs/architecture.md specifies each method.
"""

from collections.abc import Sequence
from typing import Protocol

WRITER_EXTENSION = "invoke_api.writer"

Headers = Sequence[tuple[bytes, bytes]]


class ClientListener(Protocol):
    """A receiver of the events of one client. No method raises."""

    def leave(self) -> None:
        """React to the disconnect of the client."""
        ...

    def pause(self) -> None:
        """React to a client that does not read: write nothing until `resume`."""
        ...

    def resume(self) -> None:
        """React to a client that reads again."""
        ...


class Writer(Protocol):
    """A writer of one answer. It drops data for a client that has left."""

    def take_body(self) -> bytes | None:
        """Return the whole body of the request if it has arrived, else None; replaces `receive`."""
        ...

    def listen(self, listener: ClientListener | None) -> None:
        """Pass events of the client to this listener from now on, and a past `leave` at once."""
        ...

    def start(self, status: int, headers: Headers) -> None: ...

    def write(self, data: bytes, *, is_last: bool = False) -> None: ...

    async def drain(self) -> None:
        """Wait until the client has read enough, or has left."""
        ...
