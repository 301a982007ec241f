"""Limits on the frames with which an HTTP/2 connection could flood the server. Pure: no clock.

Each such kind of frame has a token bucket. It refills with time and with the answers to the client.
A client that empties a bucket gets ENHANCE_YOUR_CALM (RFC 9113, 10.5).
"""

from dataclasses import dataclass
from typing import NamedTuple

from h2.errors import ErrorCodes

from invoke_api.transport.http2.frames import (
    END_HEADERS,
    END_STREAM,
    ConnectionFault,
    FrameKind,
    Http2Frame,
)
from invoke_api.transport.limits import MAX_HEAD_BYTES

MAX_CONTINUATIONS = 8  # frames of a head after the first; nghttp2's default
MAX_SETTINGS_PER_FRAME = 32  # nghttp2's default
SETTING_BYTES = 6  # bytes of an entry
MAX_TINY_DATA_BYTES = 16  # a smaller DATA frame costs more than it transports


class Budget(NamedTuple):
    """A limit on one kind of frame.

    `burst` frames may come at once. The client then gets more frames per second, per answer sent
    and per DATA frame sent.
    """

    name: str
    burst: int
    per_second: float
    per_answer: int = 1
    per_data: int = 0


# 1,000 at once and 33 a second are the limits of nghttp2 and Node for resets, and of nghttp2 for
# mistakes. 1,000 streams are announced, and a client may cancel all of them at once.
RESETS = Budget("RST_STREAM frames", 1_000, 33)
MISTAKES = Budget("streams that had to be refused or reset", 1_000, 33)
# Envoy allows 5, and 2 for each stream and 10 for each DATA frame that it has sent.
WINDOW_UPDATES = Budget("WINDOW_UPDATE frames", 1_000, 100, per_answer=2, per_data=10)
# Envoy allows 100 for each stream. Most clients send none, and the service ignores them.
PRIORITIES = Budget("PRIORITY frames", 1_000, 33)
# Guesses: Envoy closes after 1,000 unanswered frames of these two kinds, Go after 10,000, Jetty at
# 50 a second. SDKs send one SETTINGS frame, and a PING every few seconds.
PINGS = Budget("PING frames", 100, 10)
SETTINGS = Budget("SETTINGS frames", 50, 1)
# Guesses: Envoy allows one empty DATA frame in a row, Netty two. Neither counts small ones.
TINY_DATA = Budget("DATA frames with little or nothing in them", 1_000, 100)
SPLIT_BLOCKS = Budget("heads in several frames", 100, 10)
GOAWAYS = Budget("GOAWAY frames", 10, 1)
UNKNOWN_FRAMES = Budget("frames of unknown types", 100, 10)

BUDGET_BY_KIND = {
    FrameKind.PRIORITY: PRIORITIES,
    FrameKind.RST_STREAM: RESETS,
    FrameKind.SETTINGS: SETTINGS,
    FrameKind.PING: PINGS,
    FrameKind.GOAWAY: GOAWAYS,
    FrameKind.WINDOW_UPDATE: WINDOW_UPDATES,
    FrameKind.PRIORITY_UPDATE: PRIORITIES,
}
UNLIMITED = {FrameKind.DATA, FrameKind.HEADERS, FrameKind.PUSH_PROMISE, FrameKind.CONTINUATION}


class BudgetExceeded(ConnectionFault):
    """The error of a client that has used up one of its budgets."""

    def __init__(self, name: str) -> None:
        super().__init__(ErrorCodes.ENHANCE_YOUR_CALM, f"too many {name}")


@dataclass(slots=True)
class Bucket:
    """A token bucket. `left` is the number of tokens when the budget was last used.

    `time`, `answers` and `data` are the clock and the counts of sent answers and DATA frames then.
    """

    left: float
    time: float
    answers: int = 0
    data: int = 0


class Budgets:
    """The budgets of one connection.

    The caller counts in `answers` the complete answers, and in `data` the DATA frames sent.
    """

    def __init__(self) -> None:
        self.answers = 0
        self.data = 0
        self._buckets: dict[str, Bucket] = {}
        self._block_bytes = 0  # of an incomplete head
        self._block_frames = 0

    @property
    def is_in_block(self) -> bool:
        """Tell whether a head is incomplete."""
        return self._block_frames > 0

    def check(self, frame: Http2Frame, now: float) -> None:
        """Charge this frame to its budgets. Raises `BudgetExceeded` above a limit."""
        if frame.kind in (FrameKind.HEADERS, FrameKind.CONTINUATION):
            self._check_block(frame, now)
        if frame.kind == FrameKind.SETTINGS and frame.size > MAX_SETTINGS_PER_FRAME * SETTING_BYTES:
            raise BudgetExceeded("settings in one frame")
        if budget := _budget_of(frame):
            self.spend(budget, now)

    def spend(self, budget: Budget, now: float) -> None:
        """Take one token of this budget. Raises `BudgetExceeded` if there is none."""
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
            raise BudgetExceeded(budget.name)
        bucket.left -= 1

    def _check_block(self, frame: Http2Frame, now: float) -> None:
        ends = frame.flags & END_HEADERS
        if not ends and not self.is_in_block:
            self.spend(SPLIT_BLOCKS, now)
        self._block_bytes += frame.size
        self._block_frames += 1
        if self._block_bytes > MAX_HEAD_BYTES:
            raise BudgetExceeded(f"bytes in a head, {MAX_HEAD_BYTES:,} at most")
        if self._block_frames > MAX_CONTINUATIONS + 1:
            raise BudgetExceeded("CONTINUATION frames in a head")
        if ends:
            self._block_bytes = self._block_frames = 0


def _budget_of(frame: Http2Frame) -> Budget | None:
    if frame.kind == FrameKind.DATA:
        is_tiny = not frame.flags & END_STREAM and frame.data_size <= MAX_TINY_DATA_BYTES
        return TINY_DATA if is_tiny else None
    return None if frame.kind in UNLIMITED else BUDGET_BY_KIND.get(frame.kind, UNKNOWN_FRAMES)
