"""Compare how a balancer spreads calls over two vLLM servers: by prefix, or by their numbers.

usage: python -m bench.fleet [--prefixes N] [--shared N] [--users N] [--calls N]
       python -m bench.fleet --draw
Each call has one of several long beginnings, as applications with a system prompt each send them.
A server's KV cache holds three quarters of the beginnings, so half of them fit well. HAProxy sends
a call to the server that its beginning hashes to, or to the one with the fewest calls. Needs
`haproxy`. Writes bench/results/fleet.json, and its table into docs/operate/kubernetes.md.
"""

import argparse
import asyncio
import json
import os
import random
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import urlopen

from bench.streams.answers import Kind, ask, invoke_kinds
from bench.streams.batch import Batch
from bench.streams.checkpoints import MISTRAL_7B, demo_checkpoint
from bench.streams.documents import filled
from bench.streams.machine import about_machine, in_words
from bench.streams.processes import running, wait_for_port, wait_until_idle, wait_until_ready
from bench.streams.prompts import ENDLESS_ENDING, make_prompt
from bench.streams.servers import command_of_invoke_api, serving_openai
from bench.streams.tables import markdown
from invoke_api.models.registry import DEFAULT_REGISTRY, load_registry

ROOT = Path(__file__).parent.parent
RESULT = Path(__file__).parent / "results" / "fleet.json"
DOCUMENT = ROOT / "docs" / "operate" / "kubernetes.md"
PROGRAM = "bench/fleet.py"
TOKENS = 8  # of an answer
BLOCK_TOKENS = 128  # of vLLM's KV cache on the CPU
CACHED_SHARE = 0.75  # of the beginnings, in one server's KV cache
BALANCES = {
    "by prefix": "balance hdr(X-Prompt-Prefix)\n hash-type consistent sdbm avalanche\n"
    " hash-balance-factor 200",
    "fewest calls": "balance leastconn",
}
CONFIGURATION = """
defaults
 mode http
 timeout connect 5s
 timeout client 150s
 timeout server 150s
 option http-no-delay
frontend calls
 bind 127.0.0.1:{port}
 default_backend vllm
backend vllm
 {balance}
{servers}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prefixes", type=int, default=24, help="different beginnings")
    parser.add_argument("--shared", type=int, default=1_024, help="tokens of a beginning")
    parser.add_argument("--users", type=int, default=8, help="calls at once")
    parser.add_argument("--calls", type=int, default=360, help="calls with each balance")
    parser.add_argument("--draw", action="store_true", help="only write the table again")
    given = parser.parse_args()
    if not given.draw:
        with TemporaryDirectory() as folder:
            rows = measure(Path(folder), given)
        about = {"machine": about_machine(), "checkpoint": "demo dense", **vars(given)}
        RESULT.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")
    table = section(json.loads(RESULT.read_text()))
    DOCUMENT.write_text(filled(DOCUMENT.read_text(), PROGRAM, table))


def measure(folder: Path, given: argparse.Namespace) -> list[dict[str, Any]]:
    name = load_registry(DEFAULT_REGISTRY).models[MISTRAL_7B].weights
    blocks = round(CACHED_SHARE * given.prefixes * given.shared / BLOCK_TOKENS)
    blocks += 2 * given.users  # for the questions and answers
    flags = ["--served-model-name", name]
    flags += ["--num-gpu-blocks-override", str(blocks), "--max-model-len", str(2 * given.shared)]
    checkpoint = demo_checkpoint(folder)
    with ExitStack() as stack:
        servers = []
        for number in range(2):
            (own := folder / str(number)).mkdir()
            servers.append(
                stack.enter_context(serving_openai(checkpoint, own, flags, has_metrics=True))
            )
        fronts = {
            balance: stack.enter_context(fleet(folder, number, balance, servers))
            for number, balance in enumerate(BALANCES)
        }
        pids = [pid for _, pid in servers]
        kind = invoke_kinds(MISTRAL_7B)["InvokeModelWithResponseStream"]
        rows = []
        for number, (balance, port) in enumerate(fronts.items()):
            wait_until_idle(pids)
            before = cached(servers)
            # Beginnings of its own, so that the first balance leaves nothing for the second.
            prompts = make_prompts(given, number)
            firsts = asyncio.run(ask_all(port, kind, prompts, given.users))
            after = cached(servers)
            hits, queries = after[0] - before[0], after[1] - before[1]
            rows.append(to_row(balance, firsts, hits / queries))
            print(rows[-1], flush=True)
    return rows


@contextmanager
def fleet(
    folder: Path, number: int, balance: str, servers: Sequence[tuple[int, int]]
) -> Iterator[int]:
    """Run HAProxy in front of the servers, and our service in front of it. Yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = folder / f"haproxy-{number}.cfg"
    listed = "\n".join(f" server vllm-{each} 127.0.0.1:{each}" for each, _ in servers)
    file.write_text(CONFIGURATION.format(port=port, balance=BALANCES[balance], servers=listed))
    log = folder / f"invoke-api-{number}.log"
    command = command_of_invoke_api("--model", MISTRAL_7B, "--engine", "remote")
    command += ["--remote", f"http://127.0.0.1:{port}"]
    with (
        running(["haproxy", "-db", "-f", str(file)], os.environ, folder / f"haproxy-{number}.log"),
        running(command, os.environ, log) as pid,
    ):
        front = wait_for_port(log, pid)
        wait_until_ready(f"http://127.0.0.1:{front}/_emulator/ready", log, pid)
        yield front


def make_prompts(given: argparse.Namespace, number: int) -> list[str]:
    shared = [make_prompt(given.shared, 100 * number + each) for each in range(given.prefixes)]
    chosen = random.Random(1).choices(shared, k=given.calls)  # noqa: S311 - a sample, no secret
    return [f"{each} question {place}{ENDLESS_ENDING}" for place, each in enumerate(chosen)]


async def ask_all(port: int, kind: Kind, prompts: Sequence[str], users: int) -> list[float]:
    """Return the seconds to each first token. Raises `RuntimeError` if a call fails."""
    batch = Batch(users=users, tokens=TOKENS, timeout=120)
    left = iter(prompts)
    firsts: list[float] = []

    async def use() -> None:
        for prompt in left:
            sample = await ask(port, kind, batch, prompt)
            if sample.failure:
                raise RuntimeError(f"a request failed: {sample.failure}")
            firsts.append(sample.arrivals[0])

    await asyncio.gather(*(use() for _ in range(users)))
    return firsts


def cached(servers: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """Return how many tokens the servers found in their prefix caches, and looked for."""
    sums = [0.0, 0.0]
    for port, _ in servers:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        for place, name in enumerate(("hits", "queries")):
            start = f"vllm:prefix_cache_{name}_total{{"
            sums[place] += sum(float(each.split()[-1]) for each in lines if each.startswith(start))
    return sums[0], sums[1]


def to_row(balance: str, firsts: Sequence[float], hit_rate: float) -> dict[str, Any]:
    percentiles = quantiles(firsts, n=100)
    return {
        "balance": balance,
        "hit_rate": hit_rate,
        "p50": percentiles[49],
        "p90": percentiles[89],
    }


COLUMNS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "balance": lambda row: row["balance"],
    "prompt tokens found in a prefix cache": lambda row: f"{row['hit_rate']:.0%}",
    "first token, median": lambda row: f"{1e3 * row['p50']:.0f} ms",
    "first token, 90 of 100": lambda row: f"{1e3 * row['p90']:.0f} ms",
}


def section(result: Mapping[str, Any]) -> str:
    about = (
        f"{in_words(result['machine'])}; {result['checkpoint']} on two vLLM servers;"
        f" {result['calls']} calls, {result['users']} at once, with {result['prefixes']}"
        f" beginnings of {result['shared']} tokens:"
    )
    return f"{about}\n\n{markdown(COLUMNS, result['rows'])}"


if __name__ == "__main__":
    main()
