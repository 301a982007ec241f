"""Measure the start: the time until the service listens and answers, and its memory.

usage: python -m bench.startup [--rounds N]
Exits with status 1 if a median is over its budget: 0.5 s until the service listens, with the
scripted engine and with vLLM; with the scripted engine also 1.0 s until its first answer, and 120
MB of resident memory. The first start is left out, because Python may compile bytecode then.
"""

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

import psutil

COMMAND = [str(Path(sys.executable).parent / "invoke-api"), "serve", "--port", "0"]
ENGINES = {"scripted": ["--engine", "scripted"], "vLLM": ["--demo", "tiny"]}
PATH = "/model/mistral.mistral-7b-instruct-v0%3A2/invoke"
LISTENS, ANSWERS, MEGABYTES = 0.5, 1.0, 120.0
# Users have bytecode files; some CI machines disable them.
ENVIRONMENT = {key: each for key, each in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    measure_answer()
    within = [
        report(f"listens, {name}", [measure_listening(flags) for _ in range(rounds)], LISTENS, "s")
        for name, flags in ENGINES.items()
    ]
    answers, sizes = zip(*(measure_answer() for _ in range(rounds)), strict=True)
    within.append(report("first answer", answers, ANSWERS, "s"))
    within.append(report("resident size", sizes, MEGABYTES, "MB"))
    sys.exit(not all(within))


def report(what: str, figures: Sequence[float], budget: float, unit: str) -> bool:
    """Print the median, and tell whether it is within the budget."""
    places = 2 if unit == "s" else 0
    middle, most = f"{median(figures):.{places}f}", f"{max(figures):.{places}f}"
    print(f"{what:<18} median {middle} {unit}, most {most} {unit}, budget {budget} {unit}")
    return median(figures) <= budget


@contextmanager
def started(flags: Sequence[str]) -> Iterator[tuple[int, str, int]]:
    """Start the service; return the process, and host and port once it prints them."""
    process = subprocess.Popen(
        [*COMMAND, *flags], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr
        found = re.search(r"http://([\d.]+):(\d+)", process.stderr.readline())
        assert found, "the server did not say where it listens"
        yield process.pid, found[1], int(found[2])
    finally:
        process.terminate()
        process.communicate()


def measure_listening(flags: Sequence[str]) -> float:
    """Return the seconds from the start of the process until it accepts a connection."""
    began = time.perf_counter()
    with started(flags) as (_, host, port):
        socket.create_connection((host, port)).close()
        return time.perf_counter() - began


def measure_answer() -> tuple[float, float]:
    """Return the seconds from the start to the first answer, and the resident megabytes."""
    began = time.perf_counter()
    with started(ENGINES["scripted"]) as (pid, host, port):
        wait_for_answer(host, port)
        seconds = time.perf_counter() - began
        return seconds, psutil.Process(pid).memory_info().rss / 1e6


def wait_for_answer(host: str, port: int) -> None:
    body = json.dumps({"prompt": "Say this is a test", "max_tokens": 20})
    while True:
        connection = HTTPConnection(host, port)
        connection.request("POST", PATH, body)
        response = connection.getresponse()
        response.read()
        connection.close()
        if response.status == 200:
            return
        assert response.status == 429, f"status {response.status}"
        time.sleep(0.005)


if __name__ == "__main__":
    main()
