"""Compare streams of the OpenAI API and of a SageMaker endpoint with vLLM's Chat Completions.

usage: python -m bench.apis [--users N ...] [--words N ...] [--rounds N]
       python -m bench.apis --draw
Both servers run the dense checkpoint of --demo tiny and are called in turn. The cost of a front end
is the CPU time of the process that clients connect to. Writes bench/results/apis.json, and from it
the table in docs/performance.md.
"""

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from bench.streams.answers import HEAD_END, Counts, Kind, of_usage
from bench.streams.batch import Batch, Server
from bench.streams.checkpoints import Checkpoint, demo_checkpoint
from bench.streams.documents import filled
from bench.streams.figures import Figures, failures, to_figures
from bench.streams.load import http_driver
from bench.streams.machine import about_machine, in_words
from bench.streams.measuring import line, take_turn
from bench.streams.processes import wait_until_idle
from bench.streams.prompts import make_prompts
from bench.streams.servers import serving_invoke_api, serving_openai
from bench.streams.tables import markdown
from invoke_api.wire.eventstream import decode_frame, split_frames

ROOT = Path(__file__).parent.parent
RESULT = Path(__file__).parent / "results" / "apis.json"
DOCUMENT = ROOT / "docs" / "performance.md"
PROGRAM = "bench/apis.py"
CHAT, ENDPOINT, THEIRS = "OpenAI API", "SageMaker endpoint", "vLLM server, chat"
DEVSTRAL = "mistral.devstral-2-123b"  # a model of the OpenAI API whose --demo tiny is the dense one
NAME = "huggingface-llm-mistral-7b-instruct"
# What Mistral's own template makes of one message.
TEMPLATE = "{{ bos_token }}{% for m in messages %}[INST] {{ m['content'] }} [/INST]{% endfor %}"
WARM_UP_USERS = 4
EOS = "2"


def chat_body(prompt: str, tokens: int, *, model: str) -> dict[str, object]:
    message = {"role": "user", "content": prompt}
    asked = {"model": model, "messages": [message], "max_tokens": tokens, "temperature": 0}
    asked["logit_bias"] = {EOS: -100}  # the demo checkpoint ends its answer to a chat early
    return {**asked, "stream": True, "stream_options": {"include_usage": True}}


def endpoint_body(prompt: str, tokens: int) -> dict[str, object]:
    parameters = {"max_new_tokens": tokens, "details": True}
    return {"inputs": prompt, "parameters": parameters, "stream": True}


def of_details(answer: bytes) -> Counts:
    """Return the count of TGI's last event; it does not count the prompt's tokens."""
    frames, _ = split_frames(dechunked(answer.partition(HEAD_END)[2]))
    data = b"".join(decode_frame(frame).payload for frame in frames)
    _, found, rest = data.rpartition(b'"generated_tokens":')
    if not found:
        raise ValueError("the stream has no end")
    return 0, int(rest.partition(b",")[0])


def dechunked(body: bytes) -> bytes:
    """Return the data of a chunked body (RFC 9112, 7.1)."""
    parts = []
    while body:
        size, _, rest = body.partition(b"\r\n")
        parts.append(rest[: int(size, 16)])
        body = rest[int(size, 16) + 2 :]
    return b"".join(parts)


KINDS = {
    CHAT: Kind(
        "/openai/v1/chat/completions", partial(chat_body, model=DEVSTRAL), b"data: ", of_usage
    ),
    ENDPOINT: Kind(
        f"/endpoints/{NAME}/invocations-response-stream", endpoint_body, b":event-type", of_details
    ),
    THEIRS: Kind("/v1/chat/completions", partial(chat_body, model="bench"), b"data: ", of_usage),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, nargs="+", default=[32, 128])
    parser.add_argument("--words", type=int, nargs="+", default=[128])
    parser.add_argument("--tokens", type=int, default=128, help="of each answer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds of one request")
    parser.add_argument("--draw", action="store_true", help="only draw existing results")
    given = parser.parse_args()
    if not given.draw:
        with TemporaryDirectory() as folder:
            RESULT.write_text(json.dumps(measure(given, Path(folder)), indent=1) + "\n")
    DOCUMENT.write_text(with_table(DOCUMENT.read_text()))


@contextmanager
def all_servers(folder: Path) -> Iterator[list[Server]]:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "invoke-api-bench"
    checkpoint = demo_checkpoint(cache)
    ours = replace(checkpoint, serve=(*checkpoint.serve, "--model", DEVSTRAL))
    with ExitStack() as stack:
        port, pid = stack.enter_context(serving_invoke_api(ours, folder))
        servers = [Server(name, pid, http_driver(port, KINDS[name])) for name in (CHAT, ENDPOINT)]
        port, pid = stack.enter_context(_their_server(checkpoint, folder))
        yield [*servers, Server(THEIRS, pid, http_driver(port, KINDS[THEIRS]))]


@contextmanager
def _their_server(checkpoint: Checkpoint, folder: Path) -> Iterator[tuple[int, int]]:
    with serving_openai(checkpoint, folder, ["--chat-template", TEMPLATE]) as served:
        yield served


def measure(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Return the medians of each server's turns, and the median of the rounds' shares."""
    numbers = count(step=1_000)
    rows: list[dict[str, Any]] = []

    def turn(server: Server, words: int, users: int) -> Figures:
        prompts = make_prompts(words, users, next(numbers))
        taken = take_turn(server, Batch(users, given.tokens, given.timeout, prompts))
        print(line(server.name, words, users, taken), flush=True)
        failed = failures(taken.drive.samples)
        assert not failed, f"{server.name}: {dict(failed)}"
        return to_figures(taken)

    with all_servers(folder) as servers:
        for server in servers:
            turn(server, min(given.words), WARM_UP_USERS)
        for words in given.words:
            for users in given.users:
                rounds = []
                for _ in range(given.rounds):
                    wait_until_idle({server.pid for server in servers})
                    rounds.append([turn(server, words, users) for server in servers])
                rows += to_rows([server.name for server in servers], words, users, rounds)
    return {"machine": about_machine(), "tokens": given.tokens, "rows": rows}


def to_rows(
    names: Sequence[str], words: int, users: int, rounds: Sequence[Sequence[Figures]]
) -> Iterator[dict[str, Any]]:
    for name, figures in zip(names, zip(*rounds, strict=True), strict=True):
        theirs = [taken[names.index(THEIRS)] for taken in rounds]
        pairs = list(zip(figures, theirs, strict=True))
        yield {
            "server": name,
            "words": words,
            "users": users,
            "cpu": median(each.cpu_per_token or 0 for each in figures),
            "cpu_share": median((a.cpu_per_token or 0) / (b.cpu_per_token or 1) for a, b in pairs),
            "speed": median(each.tokens_per_second or 0 for each in figures),
            "first": median(each.first_p50 or 0 for each in figures),
        }


def with_table(document: str) -> str:
    """Return the document with the table of the last run."""
    result = json.loads(RESULT.read_text())
    columns = {
        "server": lambda row: row["server"],
        "words in": lambda row: str(row["words"]),
        "users": lambda row: str(row["users"]),
        "tokens/s": lambda row: f"{row['speed']:.0f}",
        "first token p50, ms": lambda row: f"{1000 * row['first']:.0f}",
        "front end CPU, µs/token": lambda row: f"{row['cpu']:.0f} ({row['cpu_share']:.2f})",
    }
    head = f"{in_words(result['machine'])}; demo dense, {result['tokens']} tokens out.\n\n"
    return filled(document, PROGRAM, head + markdown(columns, result["rows"]) + "\n")


if __name__ == "__main__":
    main()
