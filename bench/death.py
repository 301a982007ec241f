"""Kill vLLM's engine core under load, and measure how soon calls fail and are answered again.

usage: python -m bench.death [--model NAME] [--layers N] [--users N] [--rounds N] [--to FOLDER]
Starts `invoke-api serve` on dummy weights. In each round, users call, the core gets SIGKILL, and a
client calls until it is answered. Writes death.json into the folder of --to. Exits with status 1 if
a call that was in flight got no answer.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import psutil

from bench.streams.checkpoints import MODELS, dummy_checkpoint
from bench.streams.machine import about_machine
from bench.streams.servers import serving_invoke_api
from bench.swap import GPU_RESULTS

CORE = "VLLM::EngineCore"  # the beginning of the process's title
TIMEOUT = 120.0  # seconds of a call
BEFORE_KILL = 0.5  # seconds of load
BETWEEN = 0.25  # seconds between two calls that wait for the engine's return
NO_ANSWER = 0  # in place of a status


class Answer(NamedTuple):
    """The status of a call, and the time when it came."""

    status: int
    at: float


def main() -> None:
    given = read_arguments()
    with TemporaryDirectory() as folder:
        checkpoint = dummy_checkpoint(Path(folder), given.model, layers=given.layers)
        with serving_invoke_api(checkpoint, Path(folder)) as (port, pid):
            path = f"/model/{checkpoint.model_id.replace(':', '%3A')}/invoke"
            rounds = [
                kill_under_load(port, pid, path, given.users, given.tokens)
                for _ in range(given.rounds)
            ]
    result = {
        "machine": about_machine(),
        "checkpoint": checkpoint.name,
        "users": given.users,
        "rounds": rounds,
    }
    given.to.mkdir(parents=True, exist_ok=True)
    (given.to / "death.json").write_text(json.dumps(result, indent=1) + "\n")
    sys.exit(any(str(NO_ANSWER) in each["statuses"] for each in rounds))


def read_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=list(MODELS), default="mistral-7b")
    parser.add_argument("--layers", type=int, help="if fewer than the model has")
    parser.add_argument("--users", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=8_000, help="of each call under load")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--to", type=Path, default=GPU_RESULTS, help="folder of the result")
    return parser.parse_args(arguments)


def kill_under_load(port: int, pid: int, path: str, users: int, tokens: int) -> dict[str, Any]:
    """Return the statuses of the calls in flight, and the seconds to the last one and to return."""
    with ThreadPoolExecutor(users) as pool:
        calls = [pool.submit(ask, port, path, tokens) for _ in range(users)]
        time.sleep(BEFORE_KILL)
        cores = cores_of(pid)
        for core in cores:
            core.kill()
        killed = time.perf_counter()
        answers = [call.result() for call in calls]
    while ask(port, path, 1).status != 200:
        time.sleep(BETWEEN)
    returned = time.perf_counter() - killed
    statuses = Counter(str(answer.status) for answer in answers)
    noticed = max(answer.at for answer in answers) - killed
    print(
        f"killed {len(cores)} core; calls in flight: {dict(statuses)}, the last after"
        f" {noticed:.1f} s; answered again after {returned:.1f} s",
        flush=True,
    )
    return {"statuses": dict(statuses), "noticed": noticed, "returned": returned}


def cores_of(pid: int) -> list[psutil.Process]:
    """Return the engine cores of a service. Raises `RuntimeError` if there are none."""
    family = psutil.Process(pid).children(recursive=True)
    cores = [each for each in family if " ".join(each.cmdline()).startswith(CORE)]
    if not cores:
        raise RuntimeError(f"the service has no process {CORE}")
    return cores


def ask(port: int, path: str, tokens: int) -> Answer:
    """Call once, and return the status; `NO_ANSWER` if the connection broke or timed out."""
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    try:
        body = json.dumps({"prompt": "turn left", "max_tokens": tokens, "temperature": 1})
        connection.request("POST", path, body)
        response = connection.getresponse()
        response.read()
        status = response.status
    except (OSError, HTTPException):
        status = NO_ANSWER
    finally:
        connection.close()
    return Answer(status, time.perf_counter())


if __name__ == "__main__":
    main()
