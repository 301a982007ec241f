"""What one connection may send: token buckets on a clock that the test sets."""

import pytest
from h2.errors import ErrorCodes

from invoke_api.transport.http2.budgets import (
    BY_KIND,
    MAX_CONTINUATIONS,
    PINGS,
    RESETS,
    WINDOW_UPDATES,
    Budget,
    Budgets,
    TooMuch,
)
from invoke_api.transport.http2.frames import END_HEADERS, END_STREAM, Frame, Kind
from invoke_api.transport.limits import HEAD_BYTES


def make(kind: int, flags: int = 0, size: int = 0) -> Frame:
    return Frame(kind, flags, 1, bytes(9 + size))


def spend_all(budgets: Budgets, budget: Budget, now: float) -> int:
    """How many a client may send at this time."""
    for spent in range(100_000):
        try:
            budgets.spend(budget, now)
        except TooMuch:
            return spent
    raise AssertionError


@pytest.mark.parametrize("budget", sorted(set(BY_KIND.values())), ids=lambda budget: budget.name)
def test_a_burst_is_allowed_once_and_refills_with_time(budget: Budget) -> None:
    budgets = Budgets()

    assert spend_all(budgets, budget, now=0.0) == budget.burst
    assert spend_all(budgets, budget, now=0.0) == 0
    assert spend_all(budgets, budget, now=2.0) == pytest.approx(2 * budget.per_second, abs=1)
    assert spend_all(budgets, budget, now=100_000.0) == budget.burst


def test_answers_refill_a_budget_up_to_its_burst() -> None:
    budgets = Budgets()
    spend_all(budgets, RESETS, now=0.0)
    budgets.answers += 500

    assert spend_all(budgets, RESETS, now=0.0) == pytest.approx(500, abs=1)
    budgets.answers += 10_000
    assert spend_all(budgets, RESETS, now=0.0) == RESETS.burst


def test_data_that_is_sent_may_be_acknowledged() -> None:
    budgets = Budgets()
    spend_all(budgets, WINDOW_UPDATES, now=0.0)
    spend_all(budgets, PINGS, now=0.0)
    budgets.data += 10

    assert spend_all(budgets, WINDOW_UPDATES, now=0.0) == pytest.approx(100, abs=1)
    assert spend_all(budgets, PINGS, now=0.0) == 0


def test_who_spends_too_much_is_told_to_calm_down() -> None:
    budgets = Budgets()
    spend_all(budgets, PINGS, now=0.0)

    with pytest.raises(TooMuch, match="too many PING frames") as caught:
        budgets.check(make(Kind.PING, size=8), now=0.0)
    assert caught.value.code == ErrorCodes.ENHANCE_YOUR_CALM


@pytest.mark.parametrize(
    "frame",
    [
        make(Kind.HEADERS, END_HEADERS, 16_384),
        make(Kind.DATA, size=17),
        make(Kind.DATA, END_STREAM),
    ],
    ids=["a request", "data", "the end of a body"],
)
def test_what_requests_are_made_of_costs_nothing(frame: Frame) -> None:
    budgets = Budgets()

    for _ in range(5_000):
        budgets.check(frame, now=0.0)


def test_a_head_may_be_as_long_as_the_limit_and_no_longer() -> None:
    budgets = Budgets()
    for number in range(4):
        kind = Kind.CONTINUATION if number else Kind.HEADERS
        budgets.check(make(kind, size=HEAD_BYTES // 4), now=0.0)

    assert budgets.is_in_block
    with pytest.raises(TooMuch, match="bytes in a head"):
        budgets.check(make(Kind.CONTINUATION, size=1), now=0.0)


def test_the_limit_is_that_of_one_head() -> None:
    budgets = Budgets()
    for _ in range(10):
        budgets.check(make(Kind.HEADERS, size=16_384), now=0.0)
        budgets.check(make(Kind.CONTINUATION, END_HEADERS, 16_384), now=0.0)

    assert not budgets.is_in_block


def test_a_head_comes_in_few_frames() -> None:
    budgets = Budgets()
    budgets.check(make(Kind.HEADERS), now=0.0)
    for _ in range(MAX_CONTINUATIONS):
        budgets.check(make(Kind.CONTINUATION), now=0.0)

    with pytest.raises(TooMuch, match="CONTINUATION"):
        budgets.check(make(Kind.CONTINUATION), now=0.0)
