"""A mixed load for minutes, after which no outcome may be lost or differ, and nothing may leak.

usage: python -m tests.reliability.soak [--minutes M] [--lanes N] [--seed N] [--to FILE] [--page]
Prints its findings, writes them to FILE, and with --page also into docs/reliability.md. Ends with
status 1 if a call has two outcomes or none, or if memory, files, threads or tasks grow.
"""

import argparse
import asyncio
import json
import platform
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.streams.machine import about_machine
from tests.reliability.evidence import encode
from tests.reliability.lanes import lanes_open
from tests.reliability.ledger import Ledger
from tests.reliability.report import FILE, SOAK, report
from tests.reliability.service import SCRIPTED, Service, seconds_until, service_running
from tests.reliability.watching import Sample, complaints, growths, middle, take, tenths, watch
from tests.support.metrics import Scrape
from tests.support.servers import GUARDRAILS

LANES = 16
MAX_SAMPLES = 600  # of a run, at most one a second
WARM_UP_SECONDS = 3.0  # for tokenizers and pools
SETTLE_SECONDS = 30.0  # for the last call to end


@dataclass(slots=True)
class Run:
    """The state of a soak."""

    ledger: Ledger = field(default_factory=Ledger)
    samples: list[Sample] = field(default_factory=list)
    slowest: float = 0.0
    seconds: float = 0.0
    before: Sample | None = None
    after: Sample | None = None


async def load(service: Service, run: Run, seconds: float, lanes: int, seed: int) -> None:
    """Call for so many seconds, and observe the service from outside."""
    every = max(1.0, seconds / MAX_SAMPLES)
    watching = asyncio.create_task(watch(service, run.samples, every))
    began = time.monotonic()
    async with lanes_open(service.url, run.ledger, lanes=lanes, seed=seed) as callers:
        await asyncio.gather(*(caller.run(began + seconds) for caller in callers))
        run.slowest = max(caller.slowest for caller in callers)
        for caller in callers:
            caller.leave()
    run.seconds = time.monotonic() - began
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching


def soak(seconds: float, lanes: int, seed: int) -> Run:
    run, warm = Run(), Run()
    with service_running(*SCRIPTED, "--guardrails", str(GUARDRAILS)) as service:
        asyncio.run(load(service, warm, WARM_UP_SECONDS, lanes, seed - 1))
        rest(service)
        run.before, counted = take(service), Scrape(service.url)
        asyncio.run(load(service, run, seconds, lanes, seed))
        rest(service)
        run.after = take(service)
        run.ledger.compare_metrics(counted, Scrape(service.url))
        if complained := service.text().count("ERROR"):
            run.ledger.differ(f"the log has {complained} lines of ERROR")
    return run


def rest(service: Service) -> None:
    """Wait until no call is in flight, and the connections are closed."""
    seconds_until(lambda: service.under_way() == 0, most=SETTLE_SECONDS)
    time.sleep(1)  # until connections are closed; no metric counts them


def to_result(run: Run) -> dict[str, Any]:
    assert run.before
    assert run.after
    about = about_machine()
    outcomes: Counter[str] = Counter()
    for (_, outcome), calls in run.ledger.clients.items():
        outcomes[outcome] += calls
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{about['processor']}, {about['cores']} cores",
        "python": platform.python_version(),
        "minutes": round(run.seconds / 60, 1),
        "calls": run.ledger.calls,
        "journalled": run.ledger.kept,
        "outcomes": dict(sorted(outcomes.items())),
        "differences": run.ledger.differences,
        "slowest_seconds": round(run.slowest, 2),
        "middle": middle(run.samples),
        "growth": growths(run.samples),
        "memory_by_tenths": tenths(run.samples),
        "before": to_rest(run.before),
        "after": to_rest(run.after),
    }


def to_rest(sample: Sample) -> dict[str, float]:
    names = ("memory", "files", "threads", "tasks")
    return {name: round(getattr(sample, name), 1) for name in names}


def main() -> None:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--lanes", type=int, default=LANES)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--to", type=Path)
    parser.add_argument("--page", action="store_true")
    given = parser.parse_args()
    run = soak(60 * given.minutes, given.lanes, given.seed)
    result = to_result(run)
    assert run.before
    assert run.after
    wrong = run.ledger.wrong + complaints(run.samples, run.before, run.after)
    print(json.dumps(result, indent=1), *wrong, sep="\n")  # noqa: T201 - its findings
    if given.to:
        given.to.write_text(encode({**result, "wrong": wrong}))
    if given.page and not wrong:
        SOAK.write_text(encode(result))
        FILE.write_text(report())
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
