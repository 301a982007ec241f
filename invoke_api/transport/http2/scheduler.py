"""Round-robin scheduling of the HTTP/2 streams that have data to send.

It replaces Hypercorn's tree of priorities, in which a client can make each insertion slow. RFC
9113, 5.3.1, has deprecated those priorities, and the AWS SDKs send none.
"""

from collections import OrderedDict
from typing import Self

from priority.priority import DeadlockError, DuplicateStreamError, MissingStreamError


class RoundRobin:
    """The open streams of a connection. Each operation takes the same time for few or many."""

    def __init__(self) -> None:
        self._streams: set[int] = set()
        self._ready: OrderedDict[int, None] = OrderedDict()  # the first has the next turn

    def __len__(self) -> int:
        return len(self._streams)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> int:
        """Return the next stream. Raises `DeadlockError` when all are blocked."""
        if not self._ready:
            raise DeadlockError
        stream_id = next(iter(self._ready))
        self._ready.move_to_end(stream_id)
        return stream_id

    def insert_stream(self, stream_id: int) -> None:
        """Add a stream, which is blocked at first. Raises `DuplicateStreamError`."""
        if stream_id in self._streams:
            raise DuplicateStreamError
        self._streams.add(stream_id)

    def remove_stream(self, stream_id: int) -> None:
        """Remove a stream. An unknown one is no error, because two callers may remove it."""
        self._streams.discard(stream_id)
        self._ready.pop(stream_id, None)

    def block(self, stream_id: int) -> None:
        """Skip a stream until it is unblocked."""
        self._ready.pop(stream_id, None)

    def unblock(self, stream_id: int) -> None:
        """Schedule a stream, behind all others. Raises `MissingStreamError`."""
        if stream_id not in self._streams:
            raise MissingStreamError
        self._ready.setdefault(stream_id)
