"""Measure vLLM's prefix cache: the time to first token of requests with a common system prompt.

usage: python -m bench.prefix [--shared N] [--later N] [--rounds N]
       python -m bench.prefix --draw
Two services run the demo checkpoint, one with default options and one with
`enable_prefix_caching: false`, and get streaming requests in turn. Each round has a new system
prompt, so that only its first request finds nothing in the cache. Writes bench/results/prefix.json,
and its table into docs/performance.md.
"""

import argparse
import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from bench.streams.answers import Kind, ask, invoke_kinds
from bench.streams.batch import Batch
from bench.streams.checkpoints import Checkpoint, demo_checkpoint, write_registry
from bench.streams.documents import filled
from bench.streams.machine import about_machine, in_words
from bench.streams.processes import wait_until_idle
from bench.streams.prompts import ENDLESS_ENDING, make_prompt
from bench.streams.servers import serving_invoke_api
from bench.streams.tables import markdown

ROOT = Path(__file__).parent.parent
RESULT = Path(__file__).parent / "results" / "prefix.json"
DOCUMENT = ROOT / "docs" / "performance.md"
PROGRAM = "bench/prefix.py"
TOKENS = 8  # of an answer; only the first is measured
MODES: Mapping[str, Mapping[str, Any]] = {
    "on, as it comes": {},
    "off": {"enable_prefix_caching": False},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=int, default=2_048, help="tokens of the system prompt")
    parser.add_argument("--later", type=int, default=4, help="requests after the first")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--draw", action="store_true", help="only write the table again")
    given = parser.parse_args()
    if not given.draw:
        with TemporaryDirectory() as folder:
            rows = measure(Path(folder), given.shared, given.later, given.rounds)
        about = {"machine": about_machine(), "checkpoint": "demo dense", **vars(given)}
        RESULT.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")
    DOCUMENT.write_text(with_table(DOCUMENT.read_text()))


def measure(folder: Path, shared: int, later: int, rounds: int) -> list[dict[str, Any]]:
    """Return the medians of the rounds, in seconds to the first token."""
    with ExitStack() as stack:
        ports, pids = {}, []
        for number, (mode, options) in enumerate(MODES.items()):
            (own := folder / str(number)).mkdir()
            checkpoint = with_options(demo_checkpoint(folder), own, options)
            ports[mode], pid = stack.enter_context(serving_invoke_api(checkpoint, own))
            pids.append(pid)
        kind = invoke_kinds(checkpoint.model_id)["InvokeModelWithResponseStream"]
        firsts: dict[str, list[list[float]]] = {mode: [] for mode in MODES}
        for number in range(rounds + 1):
            for mode, port in ports.items():
                wait_until_idle(pids)
                times = asyncio.run(ask_in_turn(port, kind, make_prompt(shared, number), later))
                firsts[mode].append(times)
                print(f"{mode:<16}", *(f"{1e3 * first:6.0f}" for first in times), "ms", flush=True)
    return [to_row(mode, times[1:]) for mode, times in firsts.items()]  # without the warm-up


def with_options(checkpoint: Checkpoint, folder: Path, more: Mapping[str, Any]) -> Checkpoint:
    """Return the checkpoint with further engine arguments, in a registry: --demo takes none."""
    options = {**checkpoint.options, **more}
    path = write_registry(folder, checkpoint.model_id, checkpoint.folder, options, tokenizer="v3")
    return replace(checkpoint, serve=("--registry", str(path)))


async def ask_in_turn(port: int, kind: Kind, shared: str, later: int) -> list[float]:
    """Return the seconds to the first token of each request. Raises `RuntimeError` if one fails."""
    batch = Batch(users=1, tokens=TOKENS, timeout=60)
    firsts = []
    for question in range(later + 1):
        sample = await ask(port, kind, batch, f"{shared} question {question}{ENDLESS_ENDING}")
        if sample.failure:
            raise RuntimeError(f"a request failed: {sample.failure}")
        firsts.append(sample.arrivals[0])
    return firsts


def to_row(mode: str, rounds: list[list[float]]) -> dict[str, Any]:
    return {
        "prefix_caching": mode,
        "first": median(first for first, *_ in rounds),
        "later": median(time for _, *later in rounds for time in later),
    }


COLUMNS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "prefix caching": lambda row: row["prefix_caching"],
    "first request, ms": lambda row: f"{1e3 * row['first']:.0f}",
    "later ones, ms": lambda row: f"{1e3 * row['later']:.0f}",
}


def with_table(document: str) -> str:
    """Return the document with the result between its marks."""
    return filled(document, PROGRAM, section(json.loads(RESULT.read_text())))


def section(result: Mapping[str, Any]) -> str:
    about = (
        f"{in_words(result['machine'])}; {result['checkpoint']}; a shared prompt of"
        f" {result['shared']} tokens; time to first token, medians of {result['rounds']} rounds"
        f" with {result['later']} later requests each:"
    )
    return f"{about}\n\n{markdown(COLUMNS, result['rows'])}"


if __name__ == "__main__":
    main()
