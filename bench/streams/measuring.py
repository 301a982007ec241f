"""Measurement of servers in turns, round by round."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from bench.streams.batch import Batch, Server
from bench.streams.checkpoints import Checkpoint
from bench.streams.figures import Turn, failures, to_figures, to_row
from bench.streams.processes import cpu_seconds, memory, wait_until_idle
from bench.streams.prompts import make_prompts
from bench.streams.servers import BESIDE, STARTS, Start

WARM_UP_USERS = 4  # in turns before the first round, which are not counted
Pair = tuple[int, int]  # words, users
Key = tuple[int, int, str]  # words, users, the server's name


@dataclass(slots=True)
class Measuring:
    """A plan of rounds over pairs of words and users, with answers of `tokens` tokens.

    A round starts only if it would end within `seconds`, judging by the round before. The pairs in
    `once` are measured after the last round. Servers whose names are in `left_out` are not called.
    """

    pairs: Sequence[Pair]
    once: Sequence[Pair]
    tokens: int
    timeout: float
    rounds: int
    seconds: float
    say: Callable[[str], None]
    starts: Sequence[Start] = STARTS
    left_out: frozenset[str] = frozenset()
    turns: dict[Key, list[Turn]] = field(default_factory=dict)
    _prompts: Iterator[int] = field(default_factory=lambda: count(step=1_000))

    def run(self, checkpoint: Checkpoint, folder: Path, *, alone: bool) -> None:
        """Measure all servers in turns, or one after the other if memory is short."""
        for starts in [[start] for start in self.starts] if alone else [self.starts]:
            with ExitStack() as stack:
                opened = self._open(starts, checkpoint, folder, stack)
                self._warm(opened)
                self._measure(opened)

    def rows(self) -> Iterator[dict[str, Any]]:
        for (words, users, name), turns in sorted(self.turns.items(), key=self._order):
            beside = self.turns[words, users, BESIDE[name]]
            paired = min(len(turns), len(beside))  # the numbers of rounds may differ
            row = to_row(turns[:paired], beside[:paired])
            yield {"server": name, "words": words, "users": users, **row}

    def _order(self, item: tuple[Key, object]) -> tuple[int, int, int]:
        words, users, name = item[0]
        return words, users, list(BESIDE).index(name)

    def _open(
        self, starts: Sequence[Start], checkpoint: Checkpoint, folder: Path, stack: ExitStack
    ) -> list[Server]:
        servers: list[Server] = []
        for start in starts:
            began = time.monotonic()
            opened = stack.enter_context(start(checkpoint, folder))
            took = time.monotonic() - began
            self.say(f"{' and '.join(server.name for server in opened)}: ready in {took:.0f} s")
            servers += [server for server in opened if server.name not in self.left_out]
        return servers

    def _warm(self, servers: Sequence[Server]) -> None:
        pairs = [*self.pairs, *self.once]
        for words in sorted({words for words, _ in pairs}):
            users = min(WARM_UP_USERS, *(users for length, users in pairs if length == words))
            for server in servers:
                self._turn(server, words, users)

    def _measure(self, servers: Sequence[Server]) -> None:
        began = time.monotonic()
        for number in range(1, self.rounds + 1):
            started = time.monotonic()
            self._take(f"round {number}", self.pairs, servers)
            now = time.monotonic()
            if 2 * now - started - began > self.seconds and number < self.rounds:
                self.say(f"{number} of {self.rounds} rounds: there is no time for another")
                break
        self._take("once", self.once, servers)

    def _take(self, what: str, pairs: Sequence[Pair], servers: Sequence[Server]) -> None:
        for words, users in pairs:
            for server in servers:
                wait_until_idle({other.pid for other in servers})
                turn = self._turn(server, words, users)
                self.turns.setdefault((words, users, server.name), []).append(turn)
                self.say(f"{what}: {line(server.name, words, users, turn)}")

    def _turn(self, server: Server, words: int, users: int) -> Turn:
        prompts = make_prompts(words, users, next(self._prompts))
        return take_turn(server, Batch(users, self.tokens, self.timeout, prompts))


def take_turn(server: Server, batch: Batch) -> Turn:
    before = cpu_seconds(server.pid)
    driven = server.drive(batch)
    cpu = cpu_seconds(server.pid) - before
    return Turn(driven, cpu, *memory(server.pid))


def line(name: str, words: int, users: int, turn: Turn) -> str:
    """Return a progress line about a turn."""
    figures = to_figures(turn)
    failed = sum(failures(turn.drive.samples).values())
    parts = [
        f"{name:<19} {words:>5} words {users:>4} users",
        f"{figures.tokens_per_second or 0:7.0f} tokens/s",
        f"first {figures.first_p50:.3f} s" if figures.first_p50 else "first     -  ",
        f"{figures.cpu_per_token or 0:6.1f} µs/token",
        f"load {figures.generator_share:.0%}",
        f"{failed} failed" if failed else "",
    ]
    return "  ".join(parts).rstrip()
