"""Budgets of one connection: token buckets with a clock that the test sets."""

import pytest
from h2.errors import ErrorCodes

from invoke_api.transport.http2.budgets import (
    BUDGET_BY_KIND,
    MAX_CONTINUATIONS,
    PINGS,
    RESETS,
    WINDOW_UPDATES,
    Budget,
    BudgetExceeded,
    Budgets,
)
from invoke_api.transport.http2.frames import END_HEADERS, END_STREAM, FrameKind, Http2Frame
from invoke_api.transport.limits import MAX_HEAD_BYTES


def make(kind: int, flags: int = 0, size: int = 0) -> Http2Frame:
    return Http2Frame(kind, flags, 1, bytes(9 + size))


def spend_all(budgets: Budgets, budget: Budget, now: float) -> int:
    """Spend a budget until it is empty, and return the number of tokens."""
    for spent in range(100_000):
        try:
            budgets.spend(budget, now)
        except BudgetExceeded:
            return spent
    raise AssertionError


@pytest.mark.parametrize(
    "budget", sorted(set(BUDGET_BY_KIND.values())), ids=lambda budget: budget.name
)
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

    with pytest.raises(BudgetExceeded, match="too many PING frames") as caught:
        budgets.check(make(FrameKind.PING, size=8), now=0.0)
    assert caught.value.code == ErrorCodes.ENHANCE_YOUR_CALM


@pytest.mark.parametrize(
    "frame",
    [
        make(FrameKind.HEADERS, END_HEADERS, 16_384),
        make(FrameKind.DATA, size=17),
        make(FrameKind.DATA, END_STREAM),
    ],
    ids=["a request", "data", "the end of a body"],
)
def test_what_requests_are_made_of_costs_nothing(frame: Http2Frame) -> None:
    budgets = Budgets()

    for _ in range(5_000):
        budgets.check(frame, now=0.0)


def test_a_head_may_be_as_long_as_the_limit_and_no_longer() -> None:
    budgets = Budgets()
    for number in range(4):
        kind = FrameKind.CONTINUATION if number else FrameKind.HEADERS
        budgets.check(make(kind, size=MAX_HEAD_BYTES // 4), now=0.0)

    assert budgets.is_in_block
    with pytest.raises(BudgetExceeded, match="bytes in a head"):
        budgets.check(make(FrameKind.CONTINUATION, size=1), now=0.0)


def test_the_limit_is_that_of_one_head() -> None:
    budgets = Budgets()
    for _ in range(10):
        budgets.check(make(FrameKind.HEADERS, size=16_384), now=0.0)
        budgets.check(make(FrameKind.CONTINUATION, END_HEADERS, 16_384), now=0.0)

    assert not budgets.is_in_block


def test_a_head_comes_in_few_frames() -> None:
    budgets = Budgets()
    budgets.check(make(FrameKind.HEADERS), now=0.0)
    for _ in range(MAX_CONTINUATIONS):
        budgets.check(make(FrameKind.CONTINUATION), now=0.0)

    with pytest.raises(BudgetExceeded, match="CONTINUATION"):
        budgets.check(make(FrameKind.CONTINUATION), now=0.0)
