"""Streams that send in turn."""

from itertools import islice

import pytest
from priority.priority import DeadlockError, DuplicateStreamError, MissingStreamError

from invoke_api.transport.http2.scheduler import RoundRobin


def ready(*streams: int) -> RoundRobin:
    turns = RoundRobin()
    for stream in streams:
        turns.insert_stream(stream)
        turns.unblock(stream)
    return turns


def test_streams_take_turns() -> None:
    assert list(islice(ready(1, 3, 5), 7)) == [1, 3, 5, 1, 3, 5, 1]


def test_a_blocked_stream_has_no_turns_and_is_last_when_it_is_unblocked() -> None:
    turns = ready(1, 3, 5)
    turns.block(3)

    assert list(islice(turns, 3)) == [1, 5, 1]
    turns.unblock(3)
    turns.unblock(5)
    assert list(islice(turns, 4)) == [5, 1, 3, 5]


def test_a_new_stream_is_blocked() -> None:
    turns = RoundRobin()
    turns.insert_stream(1)

    with pytest.raises(DeadlockError):
        next(turns)


def test_a_stream_that_is_removed_has_no_turns() -> None:
    turns = ready(1, 3)
    turns.remove_stream(1)
    turns.remove_stream(1)

    assert list(islice(turns, 2)) == [3, 3]
    assert len(turns) == 1
    with pytest.raises(MissingStreamError):
        turns.unblock(1)


def test_a_stream_is_inserted_once() -> None:
    turns = ready(1)

    with pytest.raises(DuplicateStreamError):
        turns.insert_stream(1)
