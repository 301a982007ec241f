"""Streams of a real engine: Invoke API beside vLLM's own OpenAI server, in Python.

usage: python bench/serving.py [--users N ...] [--words N ...] [--tokens N] [--rounds N]
Both run the same checkpoint, the dense one of --demo, at once and each in processes of its own, and
are asked in turns: each of so many users asks once for an answer of so many tokens. Writes
bench/results/serving.json, and its table into docs/serving.md. What a front end costs is the CPU
time of the process that clients talk to, from the kernel's accounting, for each streamed token.
"""

import argparse
import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from engine.demo import options as demo
from engine.demo.checkpoints import CONTEXT, make_demo

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
RESULT = RESULTS / "serving.json"
DOCUMENT = ROOT / "docs" / "serving.md"
BEGIN, END_MARK = "<!-- bench/serving.py -->", "<!-- end -->"

MODEL = "mistral.mistral-7b-instruct-v0:2"
TICKS = os.sysconf("SC_CLK_TCK")
END = b"0\r\n\r\n"  # of a chunked body
# A completion of these goes on for ever, so that every answer has as many tokens as are asked for.
FILLER, LAST = "word", "turn left"


@dataclass(frozen=True, slots=True)
class Server:
    """`pid` is the process that clients talk to; `path` and `body` ask for a stream."""

    name: str
    pid: int
    port: int
    path: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one turn: seconds, tokens a second, microseconds of the front end's CPU a token."""

    first_p50: float
    first_p99: float
    between_p50: float
    tokens_per_second: float
    cpu_per_token: float
    generator_share: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--words", type=int, nargs="+", default=[128])
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    rows = []
    for words in given.words:
        with ExitStack() as stack:
            cache = Path(stack.enter_context(TemporaryDirectory()))
            servers = [stack.enter_context(start(cache, words, given.tokens)) for start in STARTS]
            for users in given.users:
                rows += measure(servers, users, words, given.tokens, given.rounds)
    write(rows)


def measure(
    servers: list[Server], users: int, words: int, tokens: int, rounds: int
) -> list[dict[str, Any]]:
    """The medians of each server, and their ratios to vLLM's own server in the same round."""
    turns: dict[str, list[Figures]] = {server.name: [] for server in servers}
    for server in servers:
        turn(server, users, tokens)
    for _ in range(rounds):
        for server in servers:
            turns[server.name].append(turn(server, users, tokens))
    rows = []
    for name, figures in turns.items():
        middle = {key: median(asdict(each)[key] for each in figures) for key in asdict(figures[0])}
        against = zip(figures, turns["vLLM OpenAI server"], strict=True)
        ratios = [
            (
                one.cpu_per_token / other.cpu_per_token,
                one.tokens_per_second / other.tokens_per_second,
            )
            for one, other in against
        ]
        cpu, speed = (median(column) for column in zip(*ratios, strict=True))
        row: dict[str, Any] = {
            "server": name,
            "users": users,
            "words": words,
            **middle,
            "cpu_ratio": cpu,
            "speed_ratio": speed,
        }
        print(line(row), flush=True)
        rows.append(row)
    return rows


def turn(server: Server, users: int, tokens: int) -> Figures:
    """Each user asks once."""
    before, began, own = cpu(server.pid), time.perf_counter(), time.process_time()
    times = asyncio.run(ask_all(server, users))
    took = time.perf_counter() - began
    spent, own = cpu(server.pid) - before, time.process_time() - own
    firsts = [first for first, _ in times]
    return Figures(
        first_p50=median(firsts),
        first_p99=quantiles(firsts, n=100)[-1] if users > 1 else firsts[0],
        between_p50=median((last - first) / (tokens - 1) for first, last in times),
        tokens_per_second=users * tokens / took,
        cpu_per_token=1e6 * spent / (users * tokens),
        generator_share=own / took,
    )


async def ask_all(server: Server, users: int) -> list[tuple[float, float]]:
    return await asyncio.gather(*(ask(server) for _ in range(users)))


async def ask(server: Server) -> tuple[float, float]:
    """Seconds to the first byte of the body and to its end."""
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = (
        f"POST {server.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(server.body)}\r\n\r\n"
    )
    writer.write(head.encode() + server.body)
    answer = await reader.readuntil(b"\r\n\r\n")
    assert b" 200 " in answer.partition(b"\r\n")[0], answer
    data = await reader.read(65_536)
    first = time.perf_counter() - began
    while not data.endswith(END):
        data = data[-len(END) :] + await reader.read(65_536)
    last = time.perf_counter() - began
    writer.close()
    return first, last


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used, its children's left out."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def prompt(words: int) -> str:
    return " ".join([*[FILLER] * (words - 2), LAST])


def environment() -> dict[str, str]:
    return {**os.environ, **demo.ENVIRONMENT}


@contextmanager
def invoke_api(cache: Path, words: int, tokens: int) -> Iterator[Server]:
    command = [str(Path(sys.executable).parent / "invoke-api"), "serve", "--demo", "--port", "0"]
    command += ["--model", MODEL, "--cache-dir", str(cache)]
    with running(command, r"listens on http://127.0.0.1:(\d+)") as (pid, port):
        wait(f"http://127.0.0.1:{port}/_emulator/ready", pid)
        path = f"/model/{MODEL.replace(':', '%3A')}/invoke-with-response-stream"
        asked = {"prompt": prompt(words), "max_tokens": tokens, "temperature": 0}
        yield Server("Invoke API", pid, port, path, json.dumps(asked).encode())


@contextmanager
def openai_server(cache: Path, words: int, tokens: int) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    options = {
        "--model": make_demo("dense", cache),
        "--host": "127.0.0.1",
        "--port": port,
        "--max-model-len": CONTEXT,
        "--kv-cache-memory-bytes": demo.OPTIONS["kv_cache_memory_bytes"],
        "--tokenizer-mode": "mistral",
        "--served-model-name": "demo",
    }
    flags = [str(part) for pair in options.items() for part in pair]
    plain = ["--enforce-eager", "--disable-log-stats", "--disable-uvicorn-access-log"]
    with running([*command, *flags, *plain], None) as (pid, _):
        wait(f"http://127.0.0.1:{port}/health", pid)
        asked = {"model": "demo", "prompt": prompt(words), "max_tokens": tokens, "temperature": 0}
        body = json.dumps({**asked, "stream": True, "ignore_eos": True}).encode()
        yield Server("vLLM OpenAI server", pid, port, "/v1/completions", body)


STARTS = (invoke_api, openai_server)


@contextmanager
def running(command: list[str], says: str | None) -> Iterator[tuple[int, int]]:
    """The process of this command and the port that it says, if it is to say one."""
    output = subprocess.PIPE if says else subprocess.DEVNULL
    process = subprocess.Popen(
        command, stdout=output, stderr=subprocess.STDOUT, text=True, env=environment()
    )
    try:
        port = 0
        if says and process.stdout:
            found = re.search(says, process.stdout.readline())
            assert found, "the server did not say where it listens"
            port = int(found[1])
        yield process.pid, port
    finally:
        process.terminate()
        process.wait(timeout=60)


def wait(url: str, pid: int) -> None:
    """Until it answers 200, as long as the process lives. Raises `TimeoutError`."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and " Z " not in Path(f"/proc/{pid}/stat").read_text():
        try:
            with urlopen(url, timeout=10):  # noqa: S310 - our own
                return
        except (URLError, OSError):
            time.sleep(0.2)
    raise TimeoutError(f"{url} does not get ready")


def line(row: dict[str, Any]) -> str:
    return (
        "{server:<20} {users:>4} users {words:>5} words  {tokens_per_second:7.0f} tokens/s"
        "  first {first_p50:6.3f} s, p99 {first_p99:6.3f} s  between {between_p50:7.4f} s"
        "  front end {cpu_per_token:6.1f} us/token ({cpu_ratio:.2f} of vLLM's)"
        "  generator {generator_share:.0%}"
    ).format(**row)


def write(rows: list[dict[str, Any]]) -> None:
    RESULTS.mkdir(exist_ok=True)
    names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text()) or ["unknown"]
    about = {"machine": names[0], "cores": os.cpu_count(), "checkpoint": "dense, of --demo"}
    RESULT.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")
    DOCUMENT.write_text(with_table(DOCUMENT.read_text()))


def with_table(document: str) -> str:
    """The document with the results between its marks."""
    before, _, rest = document.partition(BEGIN)
    written = table(json.loads(RESULT.read_text()))
    return f"{before}{BEGIN}\n{written}{END_MARK}{rest.partition(END_MARK)[2]}"


def table(result: dict[str, Any]) -> str:
    machine = "{machine}, {cores} cores, no GPU; the checkpoint is {checkpoint}:".format(**result)
    rows = [ROW.format(**row) for row in result["rows"]]
    return "\n".join([machine, "", HEAD, "| --- " * HEAD.count(" | ") + "| --- |", *rows, ""])


HEAD = (
    "| server | users | words in | tokens/s | first token, p50 | p99 | between tokens, p50"
    " | front end, CPU per token |"
)
ROW = (
    "| {server} | {users} | {words} | {tokens_per_second:.0f} ({speed_ratio:.2f})"
    " | {first_p50:.3f} s | {first_p99:.3f} s | {between_p50:.4f} s"
    " | {cpu_per_token:.0f} µs ({cpu_ratio:.2f}) |"
)


if __name__ == "__main__":
    main()
