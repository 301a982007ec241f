"""Make docs/reliability.md from the results of the trials: `python -m tests.reliability.report`.

With `--found` it uses the stored results. Otherwise it runs the trials first, which takes four
minutes.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from tests.reliability.evidence import FOUND, RESULTS, WRITES, load
from tests.reliability.trials import TRIALS
from tests.reliability.watching import MAX_GROWTH
from tests.support.servers import ROOT

FILE = ROOT / "docs" / "reliability.md"
SOAK = RESULTS / "soak.json"
HEAD = """\
# Reliability

<!-- Made by `python -m tests.reliability.report` from what the trials found; a test compares -->

This page lists what the test suite breaks on purpose, and what was lost.

Each row is a [trial](../tests/reliability) that really breaks something: a separate process, real
sockets, the scripted engine. The suite runs all trials, and fails if one loses anything.
[SECURITY.md](../SECURITY.md#limits) lists the limits.

| what is broken | tried | lost | what must hold |
| --- | --- | --- | --- |
"""
SOAK_HEAD = """
## Soak

`make soak` mixes all operations for 30 minutes, whole and streamed, over HTTP/1.1 and HTTP/2, with
errors, faults, clients that disconnect, rules that are added and removed, long prompts, documents
and images. `make soak MINUTES=5` is shorter. The suite runs the same load for nine seconds.

- Every call carries a mark. It must have exactly one outcome: the same for the client, in the
  journal and in the metrics.
- A line fitted through the last two thirds of all samples may rise only a little: memory by
  {memory:g} MiB, open files by {files:g}, threads by {threads:g}, tasks of the event loop by
  {tasks:g}.
- When all calls have ended, files, threads and tasks must be back at their numbers from before.

"""
NO_SOAK = "No long run has been recorded yet.\n"
UNITS = {"memory": " MiB", "files": "", "threads": "", "tasks": ""}


def report() -> str:
    return HEAD + "".join(rows()) + SOAK_HEAD.format(**MAX_GROWTH) + "".join(soak_lines())


def rows() -> Iterator[str]:
    found = load()
    for name, trial in TRIALS.items():
        finding = found.get(name)
        cells = (f"{finding['tried']:,}", finding["lost"]) if finding else ("not yet run", "-")
        yield f"| {trial.broken} | {cells[0]} | {cells[1]} | {trial.holds} |\n"


def soak_lines() -> Iterator[str]:
    if not SOAK.exists():
        yield NO_SOAK
        return
    soak: Mapping[str, Any] = json.loads(SOAK.read_text())
    yield f"The last long run, of {soak['date']}, on {soak['machine']}, Python {soak['python']}:"
    yield "\n\n"
    yield "| minutes | calls | answered | refused or failed on request | cut on request"
    yield " | disconnected | differences | longest call |\n"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
    outcomes = dict(soak["outcomes"])
    plain = [outcomes.pop(name, 0) for name in ("answered", "cut", "left")]
    cells = [plain[0], sum(outcomes.values()), *plain[1:]]
    counts = " | ".join(f"{number:,}" for number in [soak["calls"], *cells])
    yield f"| {soak['minutes']:g} | {counts} | {soak['differences']}"
    yield f" | {soak['slowest_seconds']:g} s |\n\n"
    yield "| | before | under load, median | growth under load | afterwards |\n"
    yield "| --- | --- | --- | --- | --- |\n"
    for name, unit in UNITS.items():
        numbers = (soak[when][name] for when in ("before", "middle", "growth", "after"))
        yield f"| {name} | {' | '.join(f'{number:g}{unit}' for number in numbers)} |\n"


def run_trials() -> int:
    """Run all trials, and keep their findings. Return pytest's status."""
    FOUND.unlink(missing_ok=True)
    chosen = ["tests/reliability", "-k", "not soak and not page and not engine_processes"]
    command = [sys.executable, "-m", "pytest", "-q", *chosen]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, WRITES: "1"}, check=False)
    return done.returncode


def main() -> None:
    parser = argparse.ArgumentParser(description="Write docs/reliability.md.")
    parser.add_argument("--found", action="store_true", help="use the stored results")
    given = parser.parse_args()
    status = 0 if given.found else run_trials()
    FILE.write_text(report())
    sys.exit(status)


if __name__ == "__main__":
    main()
