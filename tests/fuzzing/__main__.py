"""The command of `make fuzz`: random requests and random bytes from a new seed.

SEED repeats a run. DURATION is in minutes. ONLY names harnesses, or `requests`. Requests take half
of the time. Harnesses run under atheris if it is installed, else on mutations of their corpora.
"""

import asyncio
import logging
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from random import Random, SystemRandom
from tempfile import TemporaryDirectory
from time import monotonic

from tests.fuzzing.app import KINDS, Alarms, Service, service_running
from tests.fuzzing.control import draw_control, judge_control
from tests.fuzzing.judging import judge
from tests.fuzzing.kept import HARNESSES, check_of, mutations
from tests.fuzzing.requests import draw_request

MINUTES = 10.0
FOUND = Path("build/fuzz")  # for atheris's findings

EXECUTED = "number_of_executed_units"  # in libFuzzer's statistics


def main() -> None:
    seed = os.environ.get("SEED") or str(SystemRandom().randrange(2**31))
    minutes = float(os.environ.get("DURATION") or MINUTES)
    only = os.environ.get("ONLY", "").split() or ["requests", *HARNESSES]
    print(f"SEED={seed} DURATION={minutes:g} repeats this run", flush=True)
    names = [name for name in HARNESSES if name in only]
    share = 60 * minutes / (2 if names and "requests" in only else 1)
    whole = [asyncio.run(_send_requests(seed, share))] if "requests" in only else []
    whole += [_run_harness(name, seed, share / len(names)) for name in names]
    sys.exit(0 if all(whole) else 1)


async def _send_requests(seed: str, seconds: float) -> bool:
    """Return True if nothing was found."""
    alarms = Alarms()
    logging.getLogger().addHandler(alarms)
    kinds = (*KINDS, "control")
    whole = []
    for kind in kinds:
        with TemporaryDirectory() as folder:
            running = service_running("plain" if kind == "control" else kind, Path(folder))
            async with running as service:
                random = Random(f"{seed} {kind}")
                whole.append(await _send(service, kind, random, alarms, seconds / len(kinds)))
    return all(whole)


async def _send(
    service: Service, kind: str, random: Random, alarms: Alarms, seconds: float
) -> bool:
    is_control = kind == "control"
    draw, verdict = (draw_control, judge_control) if is_control else (draw_request, judge)
    sent, end = 0, monotonic() + seconds
    while monotonic() < end:
        try:
            await verdict(service, draw(random), alarms)
        except AssertionError as error:
            print(f"{kind}: request {sent}: {error}", flush=True)
            return False
        sent += 1
    print(f"{kind}: {sent} requests", flush=True)
    return True


def _run_harness(name: str, seed: str, seconds: float) -> bool:
    """Return True if nothing was found."""
    if find_spec("atheris") is None:
        return _run_mutations(name, seed, seconds)
    FOUND.mkdir(parents=True, exist_ok=True)
    arguments = [name, str(FOUND), str(max(1, int(seconds))), str(int(seed) % 2**31)]
    command = [sys.executable, "-m", "tests.fuzzing.coverage", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        print(f"{name}: {done.stdout[-5_000:]}\n{done.stderr[-10_000:]}")
    runs = [line.split()[-1] for line in done.stderr.splitlines() if EXECUTED in line]
    print(f"{name}: {runs[-1] if runs else 'no'} inputs by atheris", flush=True)
    return done.returncode == 0


def _run_mutations(name: str, seed: str, seconds: float) -> bool:
    check, end, number = check_of(name), monotonic() + seconds, 0
    for data in mutations(name, Random(f"{seed} {name}")):
        try:
            check(data)
        except Exception as error:  # noqa: BLE001 - any exception is a finding
            print(f"{name}: mutation {number}, {data!r}: {error!r}")
            return False
        number += 1
        if monotonic() > end:
            break
    print(f"{name}: {number} mutations", flush=True)
    return True


if __name__ == "__main__":
    main()
