"""Limits on the frames with which one HTTP/2 connection could flood the server. Pure: no clock.

Each such kind of frame has a token bucket, which refills with time and with work that the client
asked for. A client that empties a bucket gets ENHANCE_YOUR_CALM: RFC 9113, 10.5.
"""

from dataclasses import dataclass
from typing import NamedTuple

from h2.errors import ErrorCodes

from invoke_api.transport.http2.frames import END_HEADERS, END_STREAM, ConnectionFault, Frame, Kind
from invoke_api.transport.limits import HEAD_BYTES

MAX_CONTINUATIONS = 8  # frames of one head after its first; nghttp2's default
MAX_SETTINGS = 32  # entries of one frame; nghttp2's default
SETTING = 6  # bytes of an entry
TINY = 16  # bytes; a DATA frame that carries no more costs more than it brings


class Budget(NamedTuple):
    """A limit on one kind of frame.

    `burst` frames may come at once. After that the client earns more frames per second, per answer
    sent and per DATA frame sent.
    """

    name: str
    burst: int
    per_second: float
    per_answer: int = 1
    per_data: int = 0


# 1,000 at once and 33 a second are nghttp2's and Node's for resets, and nghttp2's for mistakes.
# 1,000 streams are announced, and a client may give up all of them at once.
RESETS = Budget("RST_STREAM frames", 1_000, 33)
MISTAKES = Budget("streams that had to be refused or reset", 1_000, 33)
# Envoy allows 5, 2 for each stream and 10 for each DATA frame it has sent.
WINDOW_UPDATES = Budget("WINDOW_UPDATE frames", 1_000, 100, per_answer=2, per_data=10)
# Envoy allows 100 for each stream. Most clients send none, and the service ignores them.
PRIORITIES = Budget("PRIORITY frames", 1_000, 33)
# Guesses: Envoy closes after 1,000 of these two that wait for an answer, Go after 10,000, Jetty at
# 50 a second. SDKs send one SETTINGS frame, and a PING every few seconds.
PINGS = Budget("PING frames", 100, 10)
SETTINGS = Budget("SETTINGS frames", 50, 1)
# Guesses: Envoy allows one empty DATA frame in a row, Netty two; neither counts tiny ones.
TINY_DATA = Budget("DATA frames with little or nothing in them", 1_000, 100)
SPLIT_BLOCKS = Budget("heads in several frames", 100, 10)
GOODBYES = Budget("GOAWAY frames", 10, 1)
UNKNOWN = Budget("frames of unknown types", 100, 10)

BY_KIND = {
    Kind.PRIORITY: PRIORITIES,
    Kind.RST_STREAM: RESETS,
    Kind.SETTINGS: SETTINGS,
    Kind.PING: PINGS,
    Kind.GOAWAY: GOODBYES,
    Kind.WINDOW_UPDATE: WINDOW_UPDATES,
    Kind.PRIORITY_UPDATE: PRIORITIES,
}
FREE = {Kind.DATA, Kind.HEADERS, Kind.PUSH_PROMISE, Kind.CONTINUATION}


class TooMuch(ConnectionFault):
    """The fault of a client that has used up one of its budgets."""

    def __init__(self, name: str) -> None:
        super().__init__(ErrorCodes.ENHANCE_YOUR_CALM, f"too many {name}")


@dataclass(slots=True)
class Bucket:
    """The frames `left` in a budget when it was last used.

    `time`, `answers` and `data` are the clock and the counts of sent answers and DATA frames then.
    """

    left: float
    time: float
    answers: int = 0
    data: int = 0


class Budgets:
    """The budgets of one connection.

    The caller counts in `answers` the answers whose end was sent, in `data` the DATA frames sent.
    """

    def __init__(self) -> None:
        self.answers = 0
        self.data = 0
        self._buckets: dict[str, Bucket] = {}
        self._block_bytes = 0  # of the head that is coming in
        self._block_frames = 0

    @property
    def is_in_block(self) -> bool:
        """Tell whether the end of a head is still to come."""
        return self._block_frames > 0

    def check(self, frame: Frame, now: float) -> None:
        """Charge this frame to its budgets. Raise `TooMuch` when a limit is exceeded."""
        if frame.kind in (Kind.HEADERS, Kind.CONTINUATION):
            self._check_block(frame, now)
        if frame.kind == Kind.SETTINGS and frame.size > MAX_SETTINGS * SETTING:
            raise TooMuch("settings in one frame")
        if budget := _budget_of(frame):
            self.spend(budget, now)

    def spend(self, budget: Budget, now: float) -> None:
        """Take one token of this budget. Raise `TooMuch` if there is none."""
        bucket = self._buckets.get(budget.name)
        if bucket is None:
            bucket = self._buckets[budget.name] = Bucket(budget.burst, now)
        gain = (
            (now - bucket.time) * budget.per_second
            + (self.answers - bucket.answers) * budget.per_answer
            + (self.data - bucket.data) * budget.per_data
        )
        bucket.time, bucket.answers, bucket.data = now, self.answers, self.data
        bucket.left = min(budget.burst, bucket.left + gain)
        if bucket.left < 1:
            raise TooMuch(budget.name)
        bucket.left -= 1

    def _check_block(self, frame: Frame, now: float) -> None:
        ends = frame.flags & END_HEADERS
        if not ends and not self.is_in_block:
            self.spend(SPLIT_BLOCKS, now)
        self._block_bytes += frame.size
        self._block_frames += 1
        if self._block_bytes > HEAD_BYTES:
            raise TooMuch(f"bytes in a head, {HEAD_BYTES:,} at most")
        if self._block_frames > MAX_CONTINUATIONS + 1:
            raise TooMuch("CONTINUATION frames in a head")
        if ends:
            self._block_bytes = self._block_frames = 0


def _budget_of(frame: Frame) -> Budget | None:
    if frame.kind == Kind.DATA:
        is_tiny = not frame.flags & END_STREAM and frame.data_size <= TINY
        return TINY_DATA if is_tiny else None
    return None if frame.kind in FREE else BY_KIND.get(frame.kind, UNKNOWN)
