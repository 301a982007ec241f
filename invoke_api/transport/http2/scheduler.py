"""Which HTTP/2 stream sends next: those that have something to send take turns.

It stands where Hypercorn has a tree of priorities, by whose lists of streams a client makes each
insertion slow. RFC 9113, 5.3.1, has done away with those priorities, and the AWS SDKs send none.
"""

from collections import OrderedDict
from typing import Self

from priority.priority import DeadlockError, DuplicateStreamError, MissingStreamError


class RoundRobin:
    """The open streams of a connection. Each operation takes the same time for few or many."""

    def __init__(self) -> None:
        self._streams: set[int] = set()
        self._ready: OrderedDict[int, None] = OrderedDict()  # whose turn it is comes first

    def __len__(self) -> int:
        return len(self._streams)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> int:
        """Return the stream whose turn it is. Raises `DeadlockError` when all are blocked."""
        if not self._ready:
            raise DeadlockError
        stream_id = next(iter(self._ready))
        self._ready.move_to_end(stream_id)
        return stream_id

    def insert_stream(self, stream_id: int) -> None:
        """Add a stream, blocked at first. Raises `DuplicateStreamError`."""
        if stream_id in self._streams:
            raise DuplicateStreamError
        self._streams.add(stream_id)

    def remove_stream(self, stream_id: int) -> None:
        """Forget a stream; one that is not there is no error, for two may remove it."""
        self._streams.discard(stream_id)
        self._ready.pop(stream_id, None)

    def block(self, stream_id: int) -> None:
        """Give a stream no turns until it is unblocked."""
        self._ready.pop(stream_id, None)

    def unblock(self, stream_id: int) -> None:
        """Give a stream turns, the first after all others. Raises `MissingStreamError`."""
        if stream_id not in self._streams:
            raise MissingStreamError
        self._ready.setdefault(stream_id)
