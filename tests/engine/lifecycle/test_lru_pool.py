"""A pool with more engines than slots: loads, evictions, queues and deadlines."""

import asyncio
import logging
import re
from typing import Any

import pytest

from engine.errors import EngineBusy, EngineDead, EngineNotReady, PromptTooLong
from engine.lifecycle import loading
from engine.lifecycle.lru_pool import RETRY_SECONDS, LruPool, OnDemandEngine
from engine.lifecycle.swap_policy import SwapTimes
from engine.protocol import EngineLimits, GenerationRequest
from tests.support.receiving import RecordingReceiver, text_of
from tests.support.stubs import SwappedStub

REQUEST = GenerationRequest(request_id="r", prompt=(1,), max_tokens=1)
# An idle engine is evicted at once.
EAGER = SwapTimes(turn=1_000.0, idle=0.0)


class Clock:
    """A clock in seconds that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def stubs(number: int, **more: Any) -> list[SwappedStub]:
    """Return stubs that count together how many of them are loaded."""
    awake: set[SwappedStub] = set()
    return [SwappedStub(awake=awake, **more) for _ in range(number)]


def pooled(
    made: list[SwappedStub],
    *,
    slots: int = 1,
    times: SwapTimes = EAGER,
    clock: Clock | None = None,
    **limits: Any,
) -> list[OnDemandEngine]:
    """Put stubs into a pool as a, b, c, and return the engines that callers use."""
    shared = LruPool(slots, times=times, **({"clock": clock} if clock else {}))
    return [
        shared.add(stub, name, EngineLimits(**limits))
        for stub, name in zip(made, "abc", strict=False)
    ]


async def call(engine: OnDemandEngine) -> str:
    return await text_of(engine, REQUEST)


async def settle() -> None:
    """Run the tasks that are ready, and those that they make ready."""
    for _ in range(50):
        await asyncio.sleep(0)


async def begin(engine: OnDemandEngine) -> "asyncio.Task[str]":
    task = asyncio.create_task(call(engine))
    await settle()
    return task


def statuses(*engines: OnDemandEngine) -> list[str]:
    return [engine.state().status for engine in engines]


async def test_the_first_call_loads_and_the_next_finds_it_loaded() -> None:
    [stub] = stubs(1)
    [engine] = pooled([stub])
    await engine.start()

    assert statuses(engine) == ["cold"]
    assert engine.state().takes_calls
    assert [await call(engine), await call(engine)] == ["yes", "yes"]
    assert stub.done == ["loads"]
    assert statuses(engine) == ["ready"]


async def test_its_tokenizer_is_there_before_it_is() -> None:
    [stub] = stubs(1)
    [engine] = pooled([stub])

    assert engine.tokenizer().encode("Hi")
    assert stub.done == []


async def test_calls_that_come_at_once_load_once() -> None:
    [stub] = stubs(1)
    [engine] = pooled([stub])

    assert await asyncio.gather(*(call(engine) for _ in range(5))) == ["yes"] * 5
    assert stub.done == ["loads"]
    assert engine.running() == 0


async def test_engines_that_fit_stay() -> None:
    made = stubs(2)
    engines = pooled(made, slots=2)
    for engine in engines * 2:
        await call(engine)

    assert [stub.done for stub in made] == [["loads"], ["loads"]]


@pytest.mark.parametrize(
    ("status", "done"),
    [("asleep", ["loads", "sleeps", "wakes"]), ("cold", ["loads", "closes", "loads"])],
)
async def test_who_makes_room_sleeps_if_it_can_and_is_closed_if_not(
    status: str, done: list[str]
) -> None:
    made = stubs(2, sleeps=status == "asleep")
    a, b = pooled(made)
    await call(a)
    await call(b)

    assert statuses(a, b) == [status, "ready"]
    await call(a)
    assert made[0].done == done
    assert {stub.most_awake for stub in made} == {1}


async def test_the_least_recently_used_makes_room() -> None:
    made, clock = stubs(3), Clock()
    a, b, c = pooled(made, slots=2, clock=clock)
    for engine in (a, b, a, c):
        clock.now += 1
        await call(engine)

    assert statuses(a, b, c) == ["ready", "cold", "ready"]
    assert max(stub.most_awake for stub in made) == 2


async def test_nobody_is_put_away_while_it_answers() -> None:
    made = stubs(2)
    a, b = pooled(made)
    made[0].may_answer.clear()
    first = await begin(a)
    second = await begin(b)

    assert (a.running(), b.running()) == (1, 0)
    assert statuses(a, b) == ["ready", "cold"]
    assert b.state().waiting == 1
    made[0].may_answer.set()
    assert [await first, await second] == ["yes", "yes"]
    assert statuses(a, b) == ["cold", "ready"]


async def test_what_is_refused_before_it_begins_wakes_nobody() -> None:
    [stub] = stubs(1)
    [engine] = pooled([stub])
    request = GenerationRequest(request_id="r", prompt=(1,), max_tokens=1_000)
    with pytest.raises(PromptTooLong):
        await text_of(engine, request)

    assert stub.done == []


async def test_a_call_too_many_is_refused_at_once() -> None:
    [stub] = stubs(1)
    [engine] = pooled([stub], queue=2)
    stub.may_load.clear()
    waiting = [await begin(engine), await begin(engine)]
    with pytest.raises(EngineBusy, match="2 calls wait for a already"):
        await call(engine)
    stub.may_load.set()

    assert await asyncio.gather(*waiting) == ["yes", "yes"]


async def test_past_its_deadline_a_call_is_told_so_and_the_load_goes_on() -> None:
    [stub] = stubs(1)
    [engine] = pooled([stub], load_seconds=0.01)
    stub.may_load.clear()
    with pytest.raises(EngineNotReady, match="a was not loaded in time"):
        await call(engine)

    assert (statuses(engine), engine.state().waiting) == (["loading"], 0)
    stub.may_load.set()
    await settle()
    assert await call(engine) == "yes"
    assert stub.done == ["loads"]


async def test_who_gave_up_finds_it_loaded_once_there_was_room() -> None:
    made, clock = stubs(2), Clock()
    a, b = pooled(made, clock=clock, load_seconds=0.2)
    made[0].may_answer.clear()
    answering = await begin(a)
    with pytest.raises(EngineNotReady):
        await call(b)
    made[0].may_answer.set()
    await answering
    await settle()

    assert statuses(a, b) == ["cold", "ready"]
    clock.now += EAGER.turn  # no client of b called again
    assert await call(a) == "yes"


async def test_a_client_that_leaves_while_it_waits_is_forgotten() -> None:
    made = stubs(2)
    a, b = pooled(made, queue=1)
    made[0].may_answer.clear()
    answering = await begin(a)
    leaving = await begin(b)
    leaving.cancel()
    await settle()

    assert b.state().waiting == 0
    made[0].may_answer.set()
    await answering
    await settle()
    assert made[1].done == []
    assert statuses(a) == ["ready"]


async def test_a_client_that_leaves_as_it_is_let_in_leaves_nothing_behind() -> None:
    made = stubs(2)
    a, b = pooled(made)
    made[0].may_load.clear()
    leaving, staying = await begin(a), await begin(a)
    made[0].may_load.set()
    while a.running() == 0:  # noqa: ASYNC110 - the call is admitted in between
        await asyncio.sleep(0)
    leaving.cancel()

    assert await staying == "yes"
    await settle()
    assert a.running() == 0
    assert await call(b) == "yes"


async def test_a_client_that_leaves_as_the_load_ends_is_not_let_in() -> None:
    [stub] = stubs(1)
    [engine] = pooled([stub])
    stub.may_load.clear()
    staying, leaving = await begin(engine), await begin(engine)
    stub.may_load.set()
    leaving.cancel()

    assert await staying == "yes"
    assert engine.running() == 0


@pytest.mark.parametrize("is_awake", [True, False])
@pytest.mark.parametrize("rounds", range(8))
async def test_a_call_leaves_once_wherever_it_is_cancelled(is_awake: bool, rounds: int) -> None:  # noqa: FBT001
    [stub] = stubs(1)
    [engine] = pooled([stub])
    if is_awake:
        await call(engine)
    receiver = RecordingReceiver()
    generation = engine.generate(REQUEST, receiver)
    assert engine.running() == is_awake
    for _ in range(rounds):
        await asyncio.sleep(0)
    generation.cancel()
    generation.cancel()
    assert (engine.running(), stub.running(), engine.state().waiting) == (0, 0, 0)
    generation.pause()
    generation.resume()
    heard = len(receiver.pushes)
    await settle()

    assert (engine.running(), stub.running()) == (0, 0)
    assert (len(receiver.pushes), receiver.error, receiver.surplus) == (heard, None, 0)
    assert await call(engine) == "yes"


async def test_an_engine_that_is_awake_begins_at_once() -> None:
    [stub] = stubs(1)
    [engine] = pooled([stub])
    await call(engine)
    receiver = RecordingReceiver()
    engine.generate(REQUEST, receiver)

    assert (engine.running(), stub.running()) == (1, 1)
    await receiver.wait_for_end()
    assert (engine.running(), receiver.surplus) == (0, 0)


async def test_what_an_engine_that_is_awake_raises_is_raised_and_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [stub] = stubs(1)
    [engine] = pooled([stub])
    await call(engine)
    monkeypatch.setattr(stub, "generate", refusing)
    with pytest.raises(EngineBusy):
        engine.generate(REQUEST, RecordingReceiver())

    assert engine.running() == 0


async def test_what_an_engine_raises_after_a_load_is_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [stub] = stubs(1)
    [engine] = pooled([stub])
    monkeypatch.setattr(stub, "generate", refusing)
    receiver = RecordingReceiver()
    engine.generate(REQUEST, receiver)
    await receiver.wait_for_end()

    assert isinstance(receiver.error, EngineBusy)
    assert engine.running() == 0


def refusing(*_: object) -> None:
    raise EngineBusy("1 calls run or wait already")


async def test_an_engine_that_dies_while_it_answers_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [stub] = stubs(1)
    [engine] = pooled([stub])
    monkeypatch.setattr(stub, "_error", EngineDead("gone"))
    receiver = RecordingReceiver()
    engine.generate(REQUEST, receiver)
    await receiver.wait_for_end()

    assert isinstance(receiver.error, EngineDead)
    assert (engine.running(), receiver.surplus) == (0, 0)


@pytest.mark.parametrize("is_awake", [True, False])
async def test_a_paused_call_hears_nothing_until_it_goes_on(is_awake: bool) -> None:  # noqa: FBT001
    [stub] = stubs(1)
    [engine] = pooled([stub])
    if is_awake:
        await call(engine)
    receiver = RecordingReceiver()
    generation = engine.generate(REQUEST, receiver)
    generation.pause()
    await settle()
    assert (receiver.pushes, engine.running()) == ([], 1)
    generation.resume()
    await receiver.wait_for_end()

    assert (receiver.finish, receiver.surplus, engine.running()) == ("stop", 0, 0)


async def test_who_is_called_as_it_makes_room_does_not_wait_for_the_other() -> None:
    made = stubs(3)
    a, b, c = pooled(made, slots=2)
    await call(a)
    await call(b)
    made[2].may_load.clear()
    waiting = asyncio.create_task(call(c))
    again = asyncio.create_task(call(a))

    assert await again == "yes"
    assert statuses(a, b, c) == ["ready", "cold", "loading"]
    made[2].may_load.set()
    assert await waiting == "yes"


async def test_a_load_that_fails_tells_all_and_is_tried_again_later() -> None:
    made, clock = stubs(2), Clock()
    a, b = pooled(made, clock=clock)
    made[0].failure = "no memory"
    made[0].may_load.clear()
    waiting = [await begin(a), await begin(a)]
    made[0].may_load.set()
    for task in waiting:
        with pytest.raises(EngineDead, match="no memory"):
            await task
    with pytest.raises(EngineDead, match="no memory"):
        await call(a)

    assert made[0].done == ["loads"]
    assert (a.state().status, a.state().reason) == ("failed", "no memory")
    assert not a.state().takes_calls
    assert await call(b) == "yes"
    clock.now += RETRY_SECONDS
    made[0].failure = None
    assert (a.state().status, a.state().reason) == ("cold", "no memory")
    assert await call(a) == "yes"


async def test_a_bug_in_an_engine_costs_no_place(caplog: pytest.LogCaptureFixture) -> None:
    made, clock = stubs(2), Clock()
    a, b = pooled(made, clock=clock)
    made[0].bug = ZeroDivisionError("oh")
    with pytest.raises(EngineDead, match="ZeroDivisionError: oh"):
        await call(a)
    assert await call(b) == "yes"
    made[1].bug = ZeroDivisionError("oh")
    made[0].bug = None
    clock.now += RETRY_SECONDS

    assert await call(a) == "yes"
    assert "a did not start" in caplog.text
    assert "b did not close" in caplog.text


async def test_who_died_is_loaded_again_by_the_next_call() -> None:
    [stub] = stubs(1)
    [engine] = pooled([stub])
    await call(engine)
    stub.die()

    assert (engine.state().status, engine.state().reason) == ("cold", "its core has died")
    assert await call(engine) == "yes"
    assert stub.done == ["loads", "loads"]


async def test_two_that_are_called_in_turns_neither_starve_nor_thrash() -> None:
    made, clock = stubs(2), Clock()
    engines = pooled(made, times=SwapTimes(turn=10.0, idle=0.5), clock=clock)

    async def client(engine: OnDemandEngine) -> None:
        for _ in range(50):
            assert await call(engine) == "yes"
            clock.now += 1

    await asyncio.gather(*map(client, engines))
    loads = [stub.done.count("loads") for stub in made]

    assert all(3 <= number <= 6 for number in loads), loads  # 50 calls of a second, 10 a turn


async def test_after_its_turn_the_calls_of_an_engine_wait_behind_those_of_others() -> None:
    made, clock = stubs(2), Clock()
    a, b = pooled(made, clock=clock, times=SwapTimes(turn=10.0, idle=0.0))
    made[0].may_answer.clear()
    answering = await begin(a)
    clock.now += 11
    others = await begin(b)
    late = await begin(a)

    assert a.state().waiting == 1
    made[0].may_answer.set()
    assert [await answering, await others, await late] == ["yes"] * 3
    assert made[0].done == ["loads", "closes", "loads"]


async def test_whoever_waited_is_let_in_when_the_others_leave() -> None:
    made, clock = stubs(2), Clock()
    a, b = pooled(made, clock=clock, times=SwapTimes(turn=10.0, idle=0.0))
    made[0].may_answer.clear()
    answering = await begin(a)
    clock.now += 11
    others = await begin(b)
    late = await begin(a)
    others.cancel()
    await settle()

    assert (a.running(), a.state().waiting) == (2, 0)
    made[0].may_answer.set()
    assert [await answering, await late] == ["yes"] * 2


async def test_who_gave_up_waiting_for_one_that_is_awake_keeps_nobody_out() -> None:
    made, clock = stubs(3), Clock()
    a, b = pooled(made[:2], clock=clock, times=SwapTimes(turn=10.0, idle=0.0), load_seconds=0.2)
    made[0].may_answer.clear()
    answering = await begin(a)
    clock.now += 11
    waiting = await begin(b)
    with pytest.raises(EngineNotReady):  # a's turn is over, and it still answers
        await call(a)
    with pytest.raises(EngineNotReady):
        await waiting
    leaving = await begin(b)
    leaving.cancel()
    await settle()
    made[0].may_answer.set()
    assert await answering == "yes"

    assert await call(b) == "yes"


async def test_an_idle_engine_is_kept_for_a_moment_only() -> None:
    made = stubs(2)
    a, b = pooled(made, times=SwapTimes(turn=1_000.0, idle=0.02))
    await call(a)
    waiting = await begin(b)

    assert statuses(a) == ["ready"]
    async with asyncio.timeout(10):
        assert await waiting == "yes"


async def test_the_end_comes_while_one_loads_and_others_wait() -> None:
    made = stubs(2)
    a, b = pooled(made)
    made[0].may_load.clear()
    waiting = [await begin(a), await begin(b)]
    await asyncio.gather(a.close(), b.close())

    for task in waiting:
        with pytest.raises(EngineNotReady, match="the service is shutting down"):
            await task
    assert [stub.done for stub in made] == [["loads", "ends"], ["ends"]]
    with pytest.raises(EngineNotReady):
        await call(a)


async def test_the_log_says_what_is_swapped_and_how_long_it_took(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    a, b = pooled(stubs(2, sleeps=True))
    await call(a)
    await call(b)

    assert "loading b, 1 calls wait" in caplog.text
    assert re.search(r"a evicted \(asleep\) after \d\.\d s idle", caplog.text)
    assert re.search(r"b loaded after \d\.\d s", caplog.text)


async def test_a_load_that_takes_long_is_told_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(loading, "STILL_LOADING", 0.01)
    [stub] = stubs(1)
    [engine] = pooled([stub])
    stub.may_load.clear()
    waiting = await begin(engine)
    while len(re.findall(r"still loading a \(\d s\), 1 calls wait", caplog.text)) < 2:  # noqa: ASYNC110 - the log
        await asyncio.sleep(0.001)
    stub.may_load.set()

    assert await waiting == "yes"
