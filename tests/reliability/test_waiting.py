"""What became of the slow clients, and of the others meanwhile. Begun by conftest.py."""

import pytest

from tests.reliability.answers import ANSWERED
from tests.reliability.evidence import Evidence
from tests.reliability.patience import Patience
from tests.reliability.trials import (
    BETWEEN,
    BODY_SECONDS,
    DEAF,
    DRIPPING,
    HEAD_SECONDS,
    IDLE,
    IDLE_SECONDS,
    SLOW_HEADS,
)

MOST_MEMORY = 400.0  # MiB for 2,500 connections, 100 of them with an answer that nobody reads
MOST_SECONDS = 10.0  # that a call may take meanwhile, on any machine


@pytest.fixture(scope="module")
def waited(patience: Patience) -> Patience:
    patience.end()
    return patience


def test_idle_connections_are_closed_in_time(waited: Patience, evidence: Evidence) -> None:
    assert len(waited.idle.seconds) == IDLE
    evidence.record("idle", IDLE, waited.idle.longer_than(IDLE_SECONDS))


def test_heads_that_drip_are_ended_in_time(waited: Patience, evidence: Evidence) -> None:
    assert len(waited.heads.seconds) == SLOW_HEADS
    evidence.record("slow-heads", SLOW_HEADS, waited.heads.longer_than(HEAD_SECONDS))


def test_bodies_that_drip_are_ended_in_time(waited: Patience, evidence: Evidence) -> None:
    assert len(waited.bodies.seconds) == DRIPPING
    evidence.record("dripping", DRIPPING, waited.bodies.longer_than(BODY_SECONDS))


def test_clients_that_never_read_are_given_up(waited: Patience, evidence: Evidence) -> None:
    early, late = waited.under_way

    assert early >= DEAF + DRIPPING
    assert waited.left == 0
    assert waited.memory < MOST_MEMORY
    evidence.record("deaf", DEAF, round(late))


def test_others_are_answered_meanwhile(waited: Patience, evidence: Evidence) -> None:
    unanswered = [outcome for outcome, _ in waited.between if outcome != ANSWERED]

    assert len(waited.between) == BETWEEN
    assert max(seconds for _, seconds in waited.between) < MOST_SECONDS
    evidence.record("between", BETWEEN, len(unanswered))
