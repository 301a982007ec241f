"""Outcomes of the slow clients that conftest.py starts, and of other calls meanwhile."""

import pytest

from tests.reliability.answers import ANSWERED
from tests.reliability.evidence import Evidence
from tests.reliability.patience import SlowClients
from tests.reliability.trials import (
    BODY_SECONDS,
    CALLS_MEANWHILE,
    DRIPPING,
    HEAD_SECONDS,
    IDLE,
    IDLE_SECONDS,
    NON_READERS,
    SLOW_HEADS,
)

MAX_MEMORY_MIB = 400.0  # for 2,500 connections, 100 of them with an unread answer
MAX_CALL_SECONDS = 10.0  # of a call meanwhile, on any machine


@pytest.fixture(scope="module")
def waited(patience: SlowClients) -> SlowClients:
    patience.end()
    return patience


def test_idle_connections_are_closed_in_time(waited: SlowClients, evidence: Evidence) -> None:
    assert len(waited.idle.seconds) == IDLE
    evidence.record("idle", IDLE, waited.idle.longer_than(IDLE_SECONDS))


def test_heads_that_drip_are_ended_in_time(waited: SlowClients, evidence: Evidence) -> None:
    assert len(waited.heads.seconds) == SLOW_HEADS
    evidence.record("slow-heads", SLOW_HEADS, waited.heads.longer_than(HEAD_SECONDS))


def test_bodies_that_drip_are_ended_in_time(waited: SlowClients, evidence: Evidence) -> None:
    assert len(waited.bodies.seconds) == DRIPPING
    evidence.record("dripping", DRIPPING, waited.bodies.longer_than(BODY_SECONDS))


def test_clients_that_never_read_are_given_up(waited: SlowClients, evidence: Evidence) -> None:
    early, late = waited.under_way

    assert early >= NON_READERS + DRIPPING
    assert waited.left == 0
    assert waited.memory < MAX_MEMORY_MIB
    evidence.record("deaf", NON_READERS, round(late))


def test_others_are_answered_meanwhile(waited: SlowClients, evidence: Evidence) -> None:
    unanswered = [outcome for outcome, _ in waited.between if outcome != ANSWERED]

    assert len(waited.between) == CALLS_MEANWHILE
    assert max(seconds for _, seconds in waited.between) < MAX_CALL_SECONDS
    evidence.record("between", CALLS_MEANWHILE, len(unanswered))
