"""The compared servers, each in its own processes."""

import json
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bench.streams import floor
from bench.streams.answers import COMPLETIONS, invoke_kinds
from bench.streams.batch import Server
from bench.streams.checkpoints import Checkpoint
from bench.streams.load import http_driver
from bench.streams.processes import running, wait_for_port, wait_until_ready

# Names in results and documents, and vLLM's server that each is compared with.
OURS, OURS_WHOLE = "Invoke API, stream", "Invoke API, whole"
THEIRS, THEIRS_WHOLE = "vLLM server, stream", "vLLM server, whole"
FLOOR = "AsyncLLM, no server"
NAMES = {  # by Bedrock's operation, and by a completion's streaming
    "InvokeModelWithResponseStream": OURS,
    "InvokeModel": OURS_WHOLE,
    True: THEIRS,
    False: THEIRS_WHOLE,
}
BESIDE = {
    OURS: THEIRS,
    OURS_WHOLE: THEIRS_WHOLE,
    THEIRS: THEIRS,
    THEIRS_WHOLE: THEIRS_WHOLE,
    FLOOR: THEIRS,
}


def command_of_invoke_api(*arguments: str) -> list[str]:
    """Return the command that serves on a free port, which it prints."""
    return [str(Path(sys.executable).parent / "invoke-api"), "serve", "--port", "0", *arguments]


@contextmanager
def serving_invoke_api(checkpoint: Checkpoint, folder: Path) -> Iterator[tuple[int, int]]:
    """Run our service, and yield its port and process id once it is ready."""
    command = command_of_invoke_api(*checkpoint.serve, "--model", checkpoint.model_id)
    log = folder / "invoke-api.log"
    with running(command, checkpoint.environment, log) as pid:
        port = wait_for_port(log, pid)
        wait_until_ready(f"http://127.0.0.1:{port}/_emulator/ready", log, pid)
        yield port, pid


@contextmanager
def invoke_api(checkpoint: Checkpoint, folder: Path) -> Iterator[list[Server]]:
    with serving_invoke_api(checkpoint, folder) as (port, pid):
        yield [
            Server(NAMES[operation], pid, http_driver(port, kind))
            for operation, kind in invoke_kinds(checkpoint.model_id).items()
        ]


@contextmanager
def openai_server(checkpoint: Checkpoint, folder: Path) -> Iterator[list[Server]]:
    with serving_openai(checkpoint, folder) as (port, pid):
        yield [
            Server(NAMES[stream], pid, http_driver(port, kind))
            for stream, kind in COMPLETIONS.items()
        ]


@contextmanager
def serving_openai(
    checkpoint: Checkpoint, folder: Path, more: Sequence[str] = (), *, has_metrics: bool = False
) -> Iterator[tuple[int, int]]:
    """Run vLLM's own server with `more` flags, and yield its port and process id once ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", str(checkpoint.folder), "--served-model-name", "bench"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    command += ["--disable-uvicorn-access-log"]
    command += [] if has_metrics else ["--disable-log-stats"]
    log = folder / "vllm.log"
    command += [*to_flags(checkpoint.options), *more]
    with running(command, checkpoint.environment, log) as pid:
        wait_until_ready(f"http://127.0.0.1:{port}/health", log, pid)
        yield port, pid


@contextmanager
def async_llm(checkpoint: Checkpoint, folder: Path) -> Iterator[list[Server]]:
    given = floor.as_argument(checkpoint.folder, checkpoint.tokenizer, dict(checkpoint.options))
    log = folder / "floor.log"
    command = [sys.executable, "-m", "bench.streams.floor", given]
    with running(command, checkpoint.environment, log) as pid:
        yield [Server(FLOOR, pid, partial(floor.ask_floor, wait_for_port(log, pid)))]


@contextmanager
def canned(tokens: int, environment: Mapping[str, str], folder: Path) -> Iterator[Server]:
    """Run the server of a constant stream, which shows the limit of the load."""
    log = folder / "canned.log"
    command = [sys.executable, "-m", "bench.streams.canned", str(tokens)]
    with running(command, environment, log) as pid:
        kind = invoke_kinds("canned")["InvokeModelWithResponseStream"]
        yield Server("canned", pid, http_driver(wait_for_port(log, pid), kind))


Start = Callable[[Checkpoint, Path], AbstractContextManager[list[Server]]]
STARTS: tuple[Start, ...] = (invoke_api, openai_server, async_llm)


def to_flags(options: Mapping[str, Any]) -> list[str]:
    """Convert engine arguments to flags of vLLM's command line."""
    flags: list[str] = []
    for name, value in options.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            flags.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            flags += [f"--{flag}", json.dumps(value) if isinstance(value, dict) else str(value)]
    return flags
