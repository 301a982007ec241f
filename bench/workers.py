"""Measure scripted calls a second with 1, 2 and more workers on one port.

usage: python -m bench.workers [--workers N ...] [--loads N] [--seconds S] [--rounds N]
       python -m bench.workers --draw
All services run at once and are called in turn by several load processes, so that one is not the
bottleneck. Load and workers share the CPU cores. Writes bench/results/workers.json, and its table
into docs/performance.md.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from bench.rate import CONNECTIONS, hammer, wait_until_ready
from bench.streams.documents import filled
from bench.streams.machine import about_machine, in_words
from bench.streams.processes import running, total_cpu, wait_for_port
from bench.streams.tables import markdown

ROOT = Path(__file__).parent.parent
RESULT = Path(__file__).parent / "results" / "workers.json"
DOCUMENT = ROOT / "docs" / "performance.md"
PROGRAM = "bench/workers.py"
COMMAND = [str(Path(sys.executable).parent / "invoke-api"), "serve", "--engine", "scripted"]
NAMES = {
    "invoke": "InvokeModel",
    "invoke-with-response-stream": "InvokeModelWithResponseStream",
}


class Service(NamedTuple):
    workers: int
    port: int
    pid: int


class Turn(NamedTuple):
    """The answers a second of a turn, and the CPU cores that the service used."""

    rate: float
    cores: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--loads", type=int, default=2, help="load processes")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a turn")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--draw", action="store_true", help="only write the table again")
    given = parser.parse_args()
    if not given.draw:
        rows = measure(given.workers, given.loads, given.seconds, given.rounds)
        about = {"machine": about_machine(), "connections": CONNECTIONS, **vars(given)}
        RESULT.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")
    DOCUMENT.write_text(with_table(DOCUMENT.read_text()))


def measure(counts: list[int], loads: int, seconds: float, rounds: int) -> list[dict[str, Any]]:
    """Return the medians of the rounds, by operation and workers."""
    turns: dict[tuple[str, int], list[Turn]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        services = [stack.enter_context(serving(count, folder)) for count in counts]
        pool = stack.enter_context(ProcessPoolExecutor(loads, mp_context=get_context("spawn")))
        for number in range(rounds + 1):  # the first is a warm-up
            for operation in NAMES:
                for service in services:
                    turn = ask(service, operation, pool, loads, seconds)
                    print(
                        f"{operation:<28} {service.workers} workers {turn.rate:6.0f}/s", flush=True
                    )
                    if number:
                        turns.setdefault((operation, service.workers), []).append(turn)
    return [
        {
            "operation": NAMES[operation],
            "workers": workers,
            "rate": median(turn.rate for turn in taken),
            "share": median(
                turn.rate / beside.rate
                for turn, beside in zip(taken, turns[operation, counts[0]], strict=True)
            ),
            "cores": median(turn.cores for turn in taken),
            "cpu": median(turn.cores / turn.rate for turn in taken),
        }
        for (operation, workers), taken in turns.items()
    ]


@contextmanager
def serving(workers: int, folder: Path) -> Iterator[Service]:
    log = folder / f"{workers}.log"
    with running([*COMMAND, "--port", "0", "--workers", str(workers)], os.environ, log) as pid:
        port = wait_for_port(log, pid)
        for _ in range(16 * workers):  # the kernel chooses a worker for each connection
            wait_until_ready(port)
        yield Service(workers, port, pid)


def ask(service: Service, operation: str, pool: Executor, loads: int, seconds: float) -> Turn:
    before = total_cpu([service.pid])
    asked = [pool.submit(load, service.port, operation, seconds) for _ in range(loads)]
    answered = sum(each.result() for each in asked)
    return Turn(answered, (total_cpu([service.pid]) - before) / seconds)


def load(port: int, operation: str, seconds: float) -> float:
    return asyncio.run(hammer(port, operation, seconds)) / seconds


COLUMNS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "operation": lambda row: row["operation"],
    "workers": lambda row: str(row["workers"]),
    "answers/s": lambda row: f"{row['rate']:.0f} ({row['share']:.2f})",
    "cores in use": lambda row: f"{row['cores']:.2f}",
    "CPU, µs/answer": lambda row: f"{1e6 * row['cpu']:.0f}",
}


def with_table(document: str) -> str:
    """Return the document with the result between its marks."""
    return filled(document, PROGRAM, section(json.loads(RESULT.read_text())))


def section(result: Mapping[str, Any]) -> str:
    about = (
        f"{in_words(result['machine'])}; scripted answers; {result['loads']} processes ask, over"
        f" {result['connections']} connections each; medians of {result['rounds']} rounds:"
    )
    return f"{about}\n\n{markdown(COLUMNS, result['rows'])}"


if __name__ == "__main__":
    main()
