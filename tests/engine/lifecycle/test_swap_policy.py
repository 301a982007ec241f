"""Whose turn it is, on a clock that stands still: no engine runs here."""

import pytest

from engine.lifecycle.swap_policy import (
    Guest,
    Pace,
    choose_swap,
    is_open,
    leaves_at,
    next_change,
    waited_for,
)
from engine.protocol import Limits
from tests.support.stubs import SwappedStub

PACE = Pace(turn=10.0, linger=1.0)
NOW = 100.0


async def awake(name: str = "awake", **more: object) -> Guest:
    """An engine that woke long ago and was used long ago."""
    made = guest(name, **{"stage": "awake", "awoke": 1.0, "used": 2.0, **more})
    await made.engine.start()
    return made


def guest(name: str, **more: object) -> Guest:
    made = Guest(engine=SwappedStub(), name=name, limits=Limits())
    for key, value in more.items():
        setattr(made, key, value)
    return made


def swap(*guests: Guest, places: int = 1) -> tuple[str, str | None] | None:
    """The names of who comes and who goes."""
    found = choose_swap(guests, places, NOW, PACE)
    return (found.guest.name, found.victim.name if found.victim else None) if found else None


async def test_nothing_is_done_for_nobody() -> None:
    assert swap(guest("one"), await awake()) is None


async def test_a_free_place_is_taken_first() -> None:
    assert swap(await awake(), guest("wanted", ticket=99), places=2) == ("wanted", None)


async def test_who_was_used_least_recently_makes_room() -> None:
    guests = [await awake("lately", used=98.0), await awake("long ago", used=50.0)]

    assert swap(*guests, guest("wanted", ticket=99), places=2) == ("wanted", "long ago")


async def test_who_answers_makes_no_room() -> None:
    wanted = guest("wanted", ticket=99)

    assert swap(await awake(running=1), wanted) is None
    assert swap(await awake("busy", running=1), await awake("idle", used=98.0), wanted, places=2)


async def test_who_was_wanted_first_comes_first() -> None:
    second, first = guest("second", ticket=99), guest("first", ticket=98)

    assert [each.name for each in waited_for([second, first])] == ["first", "second"]
    assert swap(await awake(), second, first) == ("first", "awake")


async def test_a_place_that_is_being_taken_is_not_free() -> None:
    assert swap(guest("waking", stage="waking"), guest("wanted", ticket=99)) is None
    assert swap(guest("leaving", stage="leaving", ticket=98)) is None


async def test_a_place_is_kept_between_two_calls() -> None:
    busy = await awake(awoke=95.0, used=99.5)
    wanted = guest("wanted", ticket=99)

    assert swap(busy, wanted) is None
    assert next_change([busy, wanted], NOW, PACE) == pytest.approx(100.5)
    assert next_change([busy], NOW, PACE) is None
    assert leaves_at(await awake(awoke=95.0, used=104.9), PACE) == pytest.approx(105.0)


async def test_who_woke_for_nobody_keeps_its_turn() -> None:
    assert leaves_at(await awake(awoke=95.0, used=None), PACE) == pytest.approx(105.0)


async def test_after_its_turn_an_engine_takes_no_calls_while_others_wait() -> None:
    over, wanted = await awake(awoke=80.0, running=1), guest("wanted", ticket=99)

    assert is_open(over, [over], NOW, PACE)
    assert not is_open(over, [over, wanted], NOW, PACE)
    assert is_open(over, [over, guest("waking", stage="waking", ticket=99)], NOW, PACE)
    in_turn = await awake(awoke=91.0, running=1)
    assert is_open(in_turn, [in_turn, wanted], NOW, PACE)


async def test_calls_that_waited_before_others_are_let_in_before_them() -> None:
    first = await awake(awoke=80.0, ticket=98)
    wanted = guest("wanted", ticket=99)

    assert is_open(first, [first, wanted], NOW, PACE)
    assert swap(first, wanted) is None


async def test_no_more_engines_close_their_doors_than_are_waited_for() -> None:
    guests = [
        await awake("younger", awoke=80.0, running=1),
        await awake("older", awoke=70.0, running=1),
        guest("wanted", ticket=99),
    ]

    assert [each.name for each in guests if is_open(each, guests, NOW, PACE)] == ["younger"]


async def test_who_died_in_its_place_wakes_in_it_or_makes_room() -> None:
    dead = await awake("dead", awoke=99.0)
    assert isinstance(dead.engine, SwappedStub)
    dead.engine.die()

    assert not is_open(dead, [dead], NOW, PACE)
    assert swap(dead) is None
    assert swap(dead, guest("wanted", ticket=99)) == ("wanted", "dead")
    dead.ticket = 98
    assert swap(dead, guest("wanted", ticket=99)) == ("dead", None)
    dead.running = 1
    assert swap(dead) is None
