"""Measure calls to a model that is not loaded: two models share the memory of one.

usage: python -m bench.swap [--rounds N]
       python -m bench.swap --weights dummy [--layers N] [--to FOLDER]
Starts `invoke-api serve --demo tiny --max-loaded-models 1` with a dense and a sparse model, and
calls them in turn, twice each, for one token. The first call waits until the other model is closed
and its own is loaded; the second call finds it loaded. Writes bench/results/swap.json, and a
sentence into docs/performance.md.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from bench.streams.checkpoints import dummy_checkpoint, write_registry
from bench.streams.documents import filled
from bench.streams.machine import about_machine, in_words
from bench.streams.processes import running, wait_for_port
from bench.streams.servers import command_of_invoke_api
from engine.vllm.options import ENVIRONMENT, runs_on_cpu

GPU_RESULTS = Path(__file__).parent / "results" / "gpu"
RESULT = Path(__file__).parent / "results" / "swap.json"
DOCUMENT = Path(__file__).parent.parent / "docs" / "performance.md"
PROGRAM = "bench/swap.py"

MODELS = ("mistral.mistral-7b-instruct-v0:2", "mistral.mixtral-8x7b-instruct-v0:1")
BODY = json.dumps({"prompt": "turn left", "max_tokens": 1, "temperature": 0})
NOT_READY_STATUS = 429  # the load took longer than `load_seconds`


def main() -> None:
    given = read_arguments()
    swaps, awake = [], []
    with TemporaryDirectory() as folder, started(Path(folder), given) as port:
        for model in MODELS:  # writes the checkpoints and fills the page cache
            print(f"first call of {model}: {ask(port, model):.1f} s", flush=True)
        for number in range(given.rounds):
            model = MODELS[number % 2]
            swaps.append(ask(port, model))
            awake.append(ask(port, model))
            print(f"swap {swaps[-1]:.1f} s, then {awake[-1]:.3f} s", flush=True)
    result: dict[str, Any] = {
        "machine": about_machine(),
        "models": MODELS,
        "swaps": swaps,
        "awake": awake,
    }
    if given.weights == "demo":
        RESULT.write_text(json.dumps(result, indent=1) + "\n")
        DOCUMENT.write_text(with_sentence(DOCUMENT.read_text()))
        return
    given.to.mkdir(parents=True, exist_ok=True)
    result |= {"layers": given.layers, "sleeps": can_sleep()}
    (given.to / "swap.json").write_text(json.dumps(result, indent=1) + "\n")


def read_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--weights", choices=["demo", "dummy"], default="demo")
    parser.add_argument("--layers", type=int, help="of dummy weights, if fewer than the model has")
    parser.add_argument("--to", type=Path, default=GPU_RESULTS, help="folder of a dummy's result")
    return parser.parse_args(arguments)


def can_sleep() -> bool:
    """Tell whether vLLM can sleep here: its build for the CPU can't."""
    return not runs_on_cpu()


@contextmanager
def started(folder: Path, given: argparse.Namespace) -> Iterator[int]:
    """Start the service with both models and room for one, and yield its port."""
    flags = ["--demo", "tiny", "--cache-dir", str(folder)]
    if given.weights == "dummy":
        flags = ["--registry", str(write_models(folder, given.layers))]
    flags += [part for model in MODELS for part in ("--model", model)]
    log = folder / "invoke-api.log"
    command = command_of_invoke_api(*flags, "--max-loaded-models", "1")
    with running(command, {**ENVIRONMENT, **os.environ}, log) as pid:
        yield wait_for_port(log, pid)


def write_models(folder: Path, layers: int | None) -> Path:
    """Write a registry of two networks of Mistral 7B's size, which sleep if vLLM can."""
    entries = []
    for number, model_id in enumerate(MODELS):
        own = folder / str(number)
        made = dummy_checkpoint(own, "mistral-7b", layers=layers)
        sleeping = {"enable_sleep_mode": True} if can_sleep() else {}
        # A sleeping engine keeps a little of the GPU's memory.
        options = {**made.options, "gpu_memory_utilization": 0.8, **sleeping}
        path = write_registry(own, model_id, made.folder, options, tokenizer=made.tokenizer)
        entries += yaml.safe_load(path.read_text())["models"]
    path = folder / "registry.yaml"
    path.write_text(yaml.safe_dump({"models": entries}))
    return path


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
