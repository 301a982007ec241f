"""The first process of `serve --workers`: replacement of workers, messages, shutdown.

Workers and cores are stand-ins here; `test_workers.py` has real ones.
"""

import logging
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.errors import EngineDead
from engine.lifecycle import loading
from engine.lifecycle.backoff import Backoff
from engine.vllm.cores import FrontEnd
from invoke_api.server import workers
from invoke_api.server.http_server import SIGNALS
from invoke_api.server.worker import (
    CoresSilent,
    MessageChannel,
    Readiness,
    Started,
    TeamReadiness,
    WorkerIdentity,
)
from invoke_api.server.worker_slot import Slot
from invoke_api.server.workers import WorkerTeam
from tests.support.waiting import until


class StandInCores:
    """Cores that fail to start a given number of times, and die when a test says so."""

    def __init__(self, failures: int, front_ends: int = 2) -> None:
        self._failures = failures
        self._front_ends = front_ends
        self.starts = self.closes = 0
        self.may_start = threading.Event()
        self.may_start.set()
        self._alive, self._life = Pipe()

    def start(self) -> list[FrontEnd]:
        self.starts += 1
        assert self.may_start.wait(120)
        if self.starts <= self._failures:
            raise EngineDead("no memory")
        self._alive, self._life = Pipe()
        return [FrontEnd("inputs", "outputs", None)] * self._front_ends

    def sentinels(self) -> list[Any]:
        return [self._alive]

    def judge(self, elapsed: float, *, is_silent: bool) -> str | None:
        assert elapsed > 0
        return "it answers nothing" if is_silent else None

    def kill(self) -> None:
        self.die()

    def die(self) -> None:
        self._life.close()

    def close(self) -> None:
        self.closes += 1


class StandInWorker:
    """A worker's process that ends when a test says so, and its end of the channel."""

    pid = 1

    def __init__(self, channel: MessageChannel, *, is_late: bool) -> None:
        self.channel = channel
        self.is_late = is_late
        self.exitcode: int | None = None
        self.sentinel, self._life = Pipe()
        self.told: list[bool] = []

    def say(self, *messages: object) -> None:
        for message in messages:
            self.channel.send(message)

    def die(self, status: int = -9) -> None:
        self.exitcode = status
        self._life.close()
        self.channel.connection.close()

    def terminate(self) -> None:
        if self.exitcode is None:
            self.die(-15)

    def join(self, _: float) -> None:
        pass

    def kill(self) -> None:
        pass

    def others_are_ready(self) -> list[bool]:
        """Return all readiness messages so far."""
        while self.channel.connection.poll():
            if isinstance(said := self.channel.receive(), TeamReadiness):
                self.told.append(said.are_ready)
        return self.told


class Played:
    """A team of stand-ins that runs in this thread, while a test acts in another."""

    def __init__(
        self, tmp_path: Path, cores: Sequence[StandInCores], count: int, most_loading: int | None
    ) -> None:
        self.workers: list[StandInWorker] = []
        settings: Any = SimpleNamespace(workers=count, shutdown_delay=0, graceful_timeout=0)
        keys = ["key", *map(str, range(1, len(cores)))]
        given: Any = {key: (each, ["a"]) for key, each in zip(keys, cores, strict=False)}
        self.team = WorkerTeam(settings, "http://nowhere", given, tmp_path, most_loading)

    def run(self, play: Callable[[], None]) -> int:
        """Run until `play` has ended and sent SIGTERM. Return the exit status."""
        before = signal.getsignal(signal.SIGTERM)

        def play_and_end() -> None:
            until(lambda: signal.getsignal(signal.SIGTERM) != before)
            try:
                play()
            finally:
                os.kill(os.getpid(), signal.SIGTERM)

        with ThreadPoolExecutor() as pool:
            playing = pool.submit(play_and_end)
            status = self.team.run()
            playing.result(timeout=10)
        return status


@pytest.fixture
def _signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def played(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    _signals: None,
) -> Callable[..., Played]:
    """Return a factory of teams of stand-ins."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(workers, "Backoff", partial(Backoff, first=0.01))
    monkeypatch.setattr(workers, "CHECK_SECONDS", 0.01)
    monkeypatch.setattr(workers, "HANG_CHECK_SECONDS", 0.01)
    monkeypatch.setattr(workers, "forget_process", lambda *_: None)
    made: list[StandInWorker] = []

    class StandInSlot(Slot):
        def _start(self, identity: WorkerIdentity) -> Any:
            ours, theirs = Pipe()
            made.append(StandInWorker(MessageChannel(theirs), is_late=identity.is_late))
            return made[-1], MessageChannel(ours)

    monkeypatch.setattr(workers, "Slot", StandInSlot)

    def make(*cores: StandInCores, count: int = 2, most_loading: int | None = None) -> Played:
        team = Played(tmp_path, cores, count, most_loading)
        team.workers = made
        return team

    return make


def test_cores_that_fail_or_die_are_started_again_until_the_end(
    caplog: pytest.LogCaptureFixture, played: Callable[..., Played]
) -> None:
    cores = StandInCores(failures=2, front_ends=0)

    def play() -> None:
        until(lambda: cores.starts == 3)
        cores.die()
        until(lambda: cores.starts == 4)

    assert played(cores, count=0).run(play) == 0
    assert cores.closes == 2  # after the death, and at the end
    told = [re.sub(r"\d\.\d+ s", "0 s", record.getMessage()) for record in caplog.records]
    assert told == [
        *["loading a", "failed after 0 s: a: no memory", "a: restarts in 0 s"] * 2,
        "loading a",
        "a: vLLM's engine core has died; its log says why",
        "a: restarts in 0 s",
        "loading a",
        "stopped",
    ]


def test_the_first_cores_load_alone_and_give_their_turn_to_the_next(
    played: Callable[..., Played],
) -> None:
    first, second, third = cores = [StandInCores(failures=1, front_ends=0) for _ in range(3)]
    for each in cores:
        each.may_start.clear()

    def play() -> None:
        until(lambda: first.starts == 1)
        assert (second.starts, third.starts) == (0, 0)
        first.may_start.set()
        until(lambda: first.starts == 2)  # after a failure, beside the next
        until(lambda: second.starts + third.starts == 1)  # either of them
        for each in cores:
            each.may_start.set()
        until(lambda: [each.starts for each in cores] == [2, 2, 2])

    assert played(*cores, count=0, most_loading=1).run(play) == 0


def test_cores_that_take_long_to_load_are_told_again(
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    played: Callable[..., Played],
) -> None:
    monkeypatch.setattr(loading, "STILL_LOADING", 0.01)
    cores = StandInCores(failures=0, front_ends=0)
    cores.may_start.clear()

    def play() -> None:
        until(lambda: caplog.text.count("still loading a (0 s)") >= 2)
        cores.may_start.set()

    assert played(cores, count=0).run(play) == 0


def test_all_cores_load_at_once_where_nothing_is_said(played: Callable[..., Played]) -> None:
    cores = [StandInCores(failures=0, front_ends=0) for _ in range(3)]
    for each in cores:
        each.may_start.clear()

    def play() -> None:
        until(lambda: [each.starts for each in cores] == [1, 1, 1])
        for each in cores:
            each.may_start.set()

    assert played(*cores, count=0).run(play) == 0


def test_cores_that_hang_are_killed_and_started_again(
    caplog: pytest.LogCaptureFixture, played: Callable[..., Played]
) -> None:
    cores = StandInCores(failures=0)
    team = played(cores)

    def play() -> None:
        until(lambda: cores.starts == 1)
        team.workers[0].say(Started(), CoresSilent("key"))
        until(lambda: cores.starts == 2)

    assert team.run(play) == 0
    assert "a: vLLM's engine core hangs: it answers nothing" in caplog.text


def test_a_worker_that_dies_is_replaced_until_the_end(
    caplog: pytest.LogCaptureFixture, played: Callable[..., Played]
) -> None:
    team = played()
    first, second = team.workers

    def play() -> None:
        for each in (first, second):
            each.say(Started(), Readiness(is_ready=True))
        until(lambda: "listens on" in caplog.text)
        first.die()
        until(lambda: len(team.workers) == 3)
        team.workers[2].die(1)  # before it has listened
        until(lambda: len(team.workers) == 4)
        team.workers[3].say(Started(), Readiness(is_ready=True))
        until(lambda: "worker-1 accepts connections again" in caplog.text)

    assert team.run(play) == 0
    assert [each.is_late for each in team.workers] == [False, False, True, True]
    assert "worker-1 has ended with status -9; its replacement starts in 0.01 s" in caplog.text
    assert "worker-1 has ended with status 1; its replacement starts in 0.02 s" in caplog.text
    assert second.exitcode == -15, "only the end ends it"


def test_one_that_dies_before_it_has_ever_listened_ends_all(
    caplog: pytest.LogCaptureFixture, played: Callable[..., Played]
) -> None:
    team = played()

    assert team.run(lambda: team.workers[0].die(1)) == 1
    assert "worker-1 has ended with status 1 before it listened, so the service ends" in caplog.text
    assert len(team.workers) == 2


def test_one_that_dies_beside_cores_has_the_others_finish_their_calls_and_ends_all(
    caplog: pytest.LogCaptureFixture, played: Callable[..., Played]
) -> None:
    team = played(StandInCores(failures=0))
    first, second = team.workers

    def play() -> None:
        for each in (first, second):
            each.say(Started(), Readiness(is_ready=True))
        until(lambda: "listens on" in caplog.text)
        first.die()
        until(lambda: second.exitcode is not None)

    assert team.run(play) == 1
    assert second.exitcode == -15, "it is told as an operator tells it"
    assert (
        "worker-1 has ended with status -9, and vLLM's cores accept no replacement" in caplog.text
    )
    assert len(team.workers) == 2


def test_no_worker_is_ready_before_all_are(played: Callable[..., Played]) -> None:
    team = played()
    first, second = team.workers

    def play() -> None:
        first.say(Started(), Readiness(is_ready=True))
        second.say(Started())
        assert not first.channel.connection.poll(0.1)
        second.say(Readiness(is_ready=True))
        until(lambda: first.others_are_ready() == second.others_are_ready() == [True])
        second.say(Readiness(is_ready=False))
        until(lambda: first.others_are_ready() == [True, False])

    assert team.run(play) == 0


def test_one_that_is_being_replaced_makes_no_other_unready(played: Callable[..., Played]) -> None:
    team = played()
    first, second = team.workers

    def play() -> None:
        for each in (first, second):
            each.say(Started(), Readiness(is_ready=True))
        until(lambda: second.others_are_ready() == [True])
        first.die()
        until(lambda: len(team.workers) == 3)
        third = team.workers[2]
        until(lambda: third.others_are_ready() == [True])
        third.say(
            Started(),
            Readiness(is_ready=False),
            Readiness(is_ready=True),
            Readiness(is_ready=False),
        )
        until(lambda: second.others_are_ready() == [True, False])

    assert team.run(play) == 0
