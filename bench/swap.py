"""Measure calls to a model that is not loaded: two models share the memory of one.

usage: python -m bench.swap [--rounds N]
Starts `invoke-api serve --demo tiny --max-loaded-models 1` with a dense and a sparse model, and
calls them in turn, twice each, for one token. The first call waits until the other model is closed
and its own is loaded; the second call finds it loaded. Writes bench/results/swap.json, and a
sentence into docs/performance.md.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from bench.streams.documents import filled
from bench.streams.machine import about_machine, in_words

RESULT = Path(__file__).parent / "results" / "swap.json"
DOCUMENT = Path(__file__).parent.parent / "docs" / "performance.md"
PROGRAM = "bench/swap.py"

COMMAND = [
    str(Path(sys.executable).parent / "invoke-api"),
    "serve",
    "--demo",
    "tiny",
    "--port",
    "0",
]
MODELS = ("mistral.mistral-7b-instruct-v0:2", "mistral.mixtral-8x7b-instruct-v0:1")
BODY = json.dumps({"prompt": "turn left", "max_tokens": 1, "temperature": 0})
NOT_READY_STATUS = 429  # the load took longer than `load_seconds`


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    swaps, awake = [], []
    with TemporaryDirectory() as cache, started(cache) as port:
        for model in MODELS:  # writes the checkpoints and fills the page cache
            ask(port, model)
        for number in range(rounds):
            model = MODELS[number % 2]
            swaps.append(ask(port, model))
            awake.append(ask(port, model))
            print(f"swap {swaps[-1]:.1f} s, then {awake[-1]:.3f} s", flush=True)
    write(swaps, awake)


@contextmanager
def started(cache: str) -> Iterator[int]:
    """Start the service, and yield its port."""
    flags = ["--max-loaded-models", "1", "--cache-dir", cache]
    flags += [part for model in MODELS for part in ("--model", model)]
    process = subprocess.Popen([*COMMAND, *flags], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr
        found = re.search(r"http://[\d.]+:(\d+)", process.stderr.readline())
        assert found, "the server did not say where it listens"
        yield int(found[1])
    finally:
        process.terminate()
        process.communicate()


def ask(port: int, model: str) -> float:
    """Return the seconds until the whole answer, with retries while the model is not ready."""
    began = time.perf_counter()
    status = NOT_READY_STATUS
    while status == NOT_READY_STATUS:
        connection = HTTPConnection("127.0.0.1", port)
        connection.request("POST", f"/model/{model.replace(':', '%3A')}/invoke", BODY)
        response = connection.getresponse()
        body, status = response.read(), response.status
        connection.close()
    assert status == 200, body
    return time.perf_counter() - began


def write(swaps: list[float], awake: list[float]) -> None:
    about = {"machine": about_machine(), "models": MODELS}
    RESULT.write_text(json.dumps({**about, "swaps": swaps, "awake": awake}, indent=1) + "\n")
    DOCUMENT.write_text(with_sentence(DOCUMENT.read_text()))


def with_sentence(document: str) -> str:
    """Return the document with the results between its marks."""
    return filled(document, PROGRAM, sentence(json.loads(RESULT.read_text())))


def sentence(result: dict[str, Any]) -> str:
    swaps, awake = result["swaps"], result["awake"]
    return (
        f"{in_words(result['machine'])}: a call for which one demo checkpoint is closed and\n"
        f"another loaded is answered after {median(swaps):.1f} s (median of {len(swaps)},"
        f" {min(swaps):.1f} to {max(swaps):.1f} s), the next\n"
        f"call of the same model after {median(awake):.3f} s.\n"
    )


if __name__ == "__main__":
    main()
