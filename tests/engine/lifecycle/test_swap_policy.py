"""The policy that loads and evicts engines, at a fixed time and without engines."""

import pytest

from engine.lifecycle.swap_policy import (
    PooledEngine,
    SwapTimes,
    admits_calls,
    choose_swap,
    engines_in_demand,
    evictable_at,
    next_eviction,
)
from engine.protocol import EngineLimits
from tests.support.stubs import SwappedStub

TIMES = SwapTimes(turn=10.0, idle=1.0)
NOW = 100.0


async def loaded(name: str = "loaded", **more: object) -> PooledEngine:
    """Return an engine that was loaded and used long ago."""
    made = pooled(name, **{"stage": "loaded", "loaded_at": 1.0, "used_at": 2.0, **more})
    await made.engine.start()
    return made


def pooled(name: str, **more: object) -> PooledEngine:
    made = PooledEngine(engine=SwappedStub(), name=name, limits=EngineLimits())
    for key, value in more.items():
        setattr(made, key, value)
    return made


def swap(*engines: PooledEngine, slots: int = 1) -> tuple[str, str | None] | None:
    """Return the names of the engine to load and of the engine to evict."""
    found = choose_swap(engines, slots, NOW, TIMES)
    return (found.pooled.name, found.victim.name if found.victim else None) if found else None


async def test_nothing_is_done_for_nobody() -> None:
    assert swap(pooled("one"), await loaded()) is None


async def test_a_free_place_is_taken_first() -> None:
    assert swap(await loaded(), pooled("wanted", ticket=99), slots=2) == ("wanted", None)


async def test_who_was_used_least_recently_makes_room() -> None:
    engines = [await loaded("lately", used_at=98.0), await loaded("long ago", used_at=50.0)]

    assert swap(*engines, pooled("wanted", ticket=99), slots=2) == ("wanted", "long ago")


async def test_who_answers_makes_no_room() -> None:
    wanted = pooled("wanted", ticket=99)

    assert swap(await loaded(running=1), wanted) is None
    assert swap(
        await loaded("busy", running=1), await loaded("idle", used_at=98.0), wanted, slots=2
    )


async def test_who_was_wanted_first_comes_first() -> None:
    second, first = pooled("second", ticket=99), pooled("first", ticket=98)

    assert [each.name for each in engines_in_demand([second, first])] == ["first", "second"]
    assert swap(await loaded(), second, first) == ("first", "loaded")


async def test_a_place_that_is_being_taken_is_not_free() -> None:
    assert swap(pooled("loading", stage="loading"), pooled("wanted", ticket=99)) is None
    assert swap(pooled("evicting", stage="evicting", ticket=98)) is None


async def test_a_place_is_kept_between_two_calls() -> None:
    busy = await loaded(loaded_at=95.0, used_at=99.5)
    wanted = pooled("wanted", ticket=99)

    assert swap(busy, wanted) is None
    assert next_eviction([busy, wanted], NOW, TIMES) == pytest.approx(100.5)
    assert next_eviction([busy], NOW, TIMES) is None
    assert evictable_at(await loaded(loaded_at=95.0, used_at=104.9), TIMES) == pytest.approx(105.0)


async def test_who_woke_for_nobody_keeps_its_turn() -> None:
    assert evictable_at(await loaded(loaded_at=95.0, used_at=None), TIMES) == pytest.approx(105.0)


async def test_after_its_turn_an_engine_takes_no_calls_while_others_wait() -> None:
    over, wanted = await loaded(loaded_at=80.0, running=1), pooled("wanted", ticket=99)

    assert admits_calls(over, [over], NOW, TIMES)
    assert not admits_calls(over, [over, wanted], NOW, TIMES)
    assert admits_calls(over, [over, pooled("loading", stage="loading", ticket=99)], NOW, TIMES)
    in_turn = await loaded(loaded_at=91.0, running=1)
    assert admits_calls(in_turn, [in_turn, wanted], NOW, TIMES)


async def test_calls_that_waited_before_others_are_let_in_before_them() -> None:
    first = await loaded(loaded_at=80.0, ticket=98)
    wanted = pooled("wanted", ticket=99)

    assert admits_calls(first, [first, wanted], NOW, TIMES)
    assert swap(first, wanted) is None


async def test_no_more_engines_close_their_doors_than_are_waited_for() -> None:
    engines = [
        await loaded("younger", loaded_at=80.0, running=1),
        await loaded("older", loaded_at=70.0, running=1),
        pooled("wanted", ticket=99),
    ]

    assert [each.name for each in engines if admits_calls(each, engines, NOW, TIMES)] == ["younger"]


async def test_who_died_in_its_place_wakes_in_it_or_makes_room() -> None:
    dead = await loaded("dead", loaded_at=99.0)
    assert isinstance(dead.engine, SwappedStub)
    dead.engine.die()

    assert not admits_calls(dead, [dead], NOW, TIMES)
    assert swap(dead) is None
    assert swap(dead, pooled("wanted", ticket=99)) == ("wanted", "dead")
    dead.ticket = 98
    assert swap(dead, pooled("wanted", ticket=99)) == ("dead", None)
    dead.running = 1
    assert swap(dead) is None
