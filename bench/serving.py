"""Compare Invoke API and vLLM's server, each streamed and whole, with AsyncLLM without a server.

usage: python -m bench.serving [--users N ...] [--words N ...] [--rounds N] [--minutes M] [--full]
       python -m bench.serving --weights dummy --model mistral-7b [--tensor-parallel N]
                               [--quantization fp8] [--servers NAME ...] [--streamed] [--to FOLDER]
       python -m bench.serving --draw
All servers run the same checkpoint, each in its own processes, and are called in turn. The
checkpoint is that of --demo tiny, with all servers at once; or a full-size network with random
weights, one server after the other. Writes a JSON file into bench/results, and from all files there
the tables in docs/performance.md and the plots. The cost of a front end is the CPU time of the
process that clients connect to.
"""

import argparse
import json
from collections.abc import Sequence
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.streams import plots
from bench.streams.batch import Batch
from bench.streams.checkpoints import MODELS, Checkpoint, demo_checkpoint, dummy_checkpoint
from bench.streams.documents import filled
from bench.streams.figures import to_figures
from bench.streams.machine import about_machine, slug
from bench.streams.measuring import Measuring, take_turn
from bench.streams.plan import MAX_TOKENS_READ, USERS, WORDS, to_plan
from bench.streams.prompts import make_prompts
from bench.streams.published import SOURCE, published_table
from bench.streams.servers import OURS_WHOLE, STARTS, THEIRS_WHOLE, canned
from bench.streams.tables import full_table, left_out, short_table
from bench.streams.targets import targets_table

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
DOCUMENT = ROOT / "docs" / "performance.md"
PROGRAM = "bench/serving.py"
SERVERS = dict(zip(("invoke-api", "vllm-server", "async-llm"), STARTS, strict=True))
MAX_MINUTES = 26.0  # of all rounds without --full: three rounds on two cores


def main() -> None:
    given = read_arguments()
    if not plots.is_possible():
        print(plots.MISSING)
    if not given.draw:
        with TemporaryDirectory() as folder:
            name, result = measure(given, Path(folder))
        results = given.to or RESULTS
        results.mkdir(parents=True, exist_ok=True)
        (results / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
        if given.to:
            (results / f"{name}.md").write_text(document_of(result))
            return
    draw()


def read_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, nargs="+", default=USERS)
    parser.add_argument("--words", type=int, nargs="+", default=WORDS)
    parser.add_argument("--tokens", type=int, default=128, help="of each answer")
    parser.add_argument(
        "--rounds", type=int, default=3, help="at most; the first is always complete"
    )
    parser.add_argument(
        "--minutes", type=float, help=f"of rounds; {MAX_MINUTES:.0f} without --full"
    )
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds of one request")
    parser.add_argument("--full", action="store_true", help="repeat the slow pairs, too")
    parser.add_argument("--weights", choices=["demo", "dummy"], default="demo")
    parser.add_argument("--model", choices=list(MODELS), help="the network of dummy weights")
    parser.add_argument("--tensor-parallel", type=int, default=1, help="GPUs of dummy weights")
    parser.add_argument("--layers", type=int, help="of dummy weights, if fewer than the model has")
    parser.add_argument("--quantization", help="of dummy weights, by vLLM's name")
    parser.add_argument(
        "--servers",
        nargs="+",
        choices=list(SERVERS),
        default=list(SERVERS),
        help="vllm-server is always one, because the others are compared with it",
    )
    parser.add_argument("--streamed", action="store_true", help="leave out whole answers")
    parser.add_argument(
        "--most-read", type=int, help="tokens of a turn's prompts, of dummy weights"
    )
    parser.add_argument("--to", type=Path, help="folder of the result; the document stays as it is")
    parser.add_argument("--draw", action="store_true", help="only draw existing results")
    given = parser.parse_args(arguments)
    if (given.weights == "dummy") != (given.model is not None):
        parser.error("--weights dummy and --model go together")
    if given.servers and "vllm-server" not in given.servers:
        parser.error("--servers needs vllm-server")
    given.full = given.full or given.weights == "dummy"  # a GPU is fast enough
    return given


def measure(given: argparse.Namespace, folder: Path) -> tuple[str, dict[str, Any]]:
    """Return the name of the result, and the result."""
    about = about_machine()
    checkpoint = open_checkpoint(given, folder)
    plan = to_plan(
        given.users,
        given.words,
        given.tokens,
        context=checkpoint.options["max_model_len"],
        most_read=given.most_read or (None if given.full else MAX_TOKENS_READ),
    )
    if given.most_read:
        plan.left_out.extend(plan.once)
        plan.once.clear()
    for sentence in left_out(plan.left_out):
        print(sentence)
    load = measure_load(checkpoint, max(given.users), given.tokens, folder)
    print(f"the load takes {load['tokens_per_second']:.0f} tokens/s of canned streams")
    seconds = 60 * (given.minutes or (inf if given.full else MAX_MINUTES))
    measuring = Measuring(
        plan.pairs,
        plan.once,
        given.tokens,
        given.timeout,
        given.rounds,
        seconds,
        say,
        tuple(SERVERS[name] for name in given.servers),
        frozenset({OURS_WHOLE, THEIRS_WHOLE} if given.streamed else ()),
    )
    measuring.run(checkpoint, folder, alone=given.weights == "dummy")
    name = to_name(given, slug(about))
    return name, {
        "machine": about,
        "checkpoint": checkpoint.name,
        "model": given.model,
        "layers": given.layers,
        "tensor_parallel": given.tensor_parallel,
        "tokens": given.tokens,
        "timeout": given.timeout,
        "load": load,
        "once": plan.once,
        "left_out": plan.left_out,
        "rows": list(measuring.rows()),
    }


def to_name(given: argparse.Namespace, card: str) -> str:
    """Return the name of the result's file."""
    parts = [given.model, card, f"x{given.tensor_parallel}" if given.tensor_parallel > 1 else ""]
    parts += [f"{given.layers}-layers" if given.layers else "", given.quantization]
    return "-".join(["serving", *filter(None, parts if given.model else [])])


def say(text: str) -> None:
    print(text, flush=True)


def open_checkpoint(given: argparse.Namespace, folder: Path) -> Checkpoint:
    if given.model is None:
        return demo_checkpoint(folder)
    return dummy_checkpoint(
        folder, given.model, given.tensor_parallel, given.layers, given.quantization
    )


def measure_load(
    checkpoint: Checkpoint, users: int, tokens: int, folder: Path
) -> dict[str, float | None]:
    """Measure the limit of the load itself, with a server that does no work."""
    with canned(tokens, checkpoint.environment, folder) as server:
        batch = Batch(users, tokens, 60, make_prompts(128, users, 0))
        take_turn(server, batch)
        turn = take_turn(server, batch)
    figures = to_figures(turn)
    return {
        "users": users,
        "tokens_per_second": figures.tokens_per_second,
        "share": figures.generator_share,
        "cpu_per_token": 1e6 * turn.drive.own / (len(batch.prompts) * tokens),
    }


def draw() -> None:
    """Write the document, and the full table and plots of each result."""
    for name, result in load_results().items():
        (RESULTS / f"{name}.md").write_text(f"{full_table(result)}")
        if plots.is_possible():
            plots.draw(result, RESULTS, name)
    DOCUMENT.write_text(with_table(DOCUMENT.read_text()))


def load_results() -> dict[str, dict[str, Any]]:
    """Return the results by name, that of the demo checkpoint first."""
    return {
        path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("serving*.json"))
    }


def document_of(result: dict[str, Any]) -> str:
    """Return all tables of one result: its rows, the targets, and published figures beside it."""
    parts = [full_table(result), targets_table(result)]
    if result["model"] == "mistral-7b":
        parts += [SOURCE + "\n", published_table([result])]
    return "\n".join(parts)


def with_table(document: str) -> str:
    """Return the document with the results between its marks."""
    return filled(document, PROGRAM, section(load_results()))


def section(results: dict[str, dict[str, Any]]) -> str:
    parts = []
    for name, result in results.items():
        pictures = [
            f"![{plot.title}](../bench/results/{plots.file_name(name, plot)})\n"
            for plot in plots.PLOTS
        ]
        rest = f"All rows: [{name}.md](../bench/results/{name}.md).\n"
        parts += [short_table(result), rest, targets_table(result), *pictures]
    same = [
        result
        for result in results.values()
        if result["model"] == "mistral-7b" and not result["layers"]
    ]
    parts += [SOURCE + ("" if same else NOT_MEASURED) + "\n", published_table(same)]
    return "\n".join(parts)


NOT_MEASURED = (
    " Ours has not been measured on a GPU yet: `--weights dummy --model mistral-7b` does it."
)


if __name__ == "__main__":
    main()
