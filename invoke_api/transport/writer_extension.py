"""The ASGI extension by which an application writes an answer without waiting.

`scope["extensions"][EXTENSION]["writer"]` is the `Writer` of a request's answer;
docs/architecture.md says what each method promises.
"""

from collections.abc import Sequence
from typing import Protocol

EXTENSION = "invoke_api.writer"

Headers = Sequence[tuple[bytes, bytes]]


class Listener(Protocol):
    """Hears what becomes of the client. No method raises."""

    def leave(self) -> None:
        """Learn that the client has left."""
        ...

    def pause(self) -> None:
        """Learn that the client does not read: nothing should be written until `resume`."""
        ...

    def resume(self) -> None: ...


class Writer(Protocol):
    """Writes one answer. It drops what is written for a client that has left."""

    def take_body(self) -> bytes | None:
        """Return the body of the request in place of `receive`, if all of it has come."""
        ...

    def listen(self, listener: Listener | None) -> None:
        """Tell this listener of the client from now on, and at once if it has left already."""
        ...

    def start(self, status: int, headers: Headers) -> None: ...

    def write(self, data: bytes, *, is_last: bool = False) -> None: ...

    async def drain(self) -> None:
        """Return once the client has read enough, or has left."""
        ...
