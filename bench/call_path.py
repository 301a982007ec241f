"""Count the project's own Python frames that one HTTP request passes through.

usage: python -m bench.call_path [--rounds N] [--way]
       python -m bench.call_path --lines
       PYTHONPATH=CHECKOUT python -m bench.call_path

The script runs `invoke-api serve --engine scripted` in its main thread and sends requests from a
second thread, over one HTTP/1.1 connection that stays open. It uses only the command line and
HTTP, so it measures any checkout that PYTHONPATH names.

A call is a "call" event of `sys.setprofile` in a file below invoke_api/ or engine/. Resuming a
generator or a coroutine is a call too; so are comprehensions, lambdas and generator expressions.
Generated code, such as a dataclass's `__init__`, and frames of other libraries are not counted. A
function is one code object. A switch is a call in another file than the call before it. Each
request is measured --rounds times, after warm-up requests that fill the caches; the table shows
the most frequent path.

--lines counts the lines of code instead: no blank lines, comments or docstrings.
"""

import argparse
import io
import json
import os
import runpy
import signal
import socket
import sys
import threading
import time
import tokenize
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from http.client import HTTPResponse
from importlib.util import find_spec
from itertools import groupby, pairwise
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import NamedTuple, TypeVar
from urllib.parse import quote

HOST = "127.0.0.1"
MODEL_ID = "mistral.mistral-7b-instruct-v0:2"
TEXT = "What is your favourite condiment?"
GUARDRAIL = {
    "guardrailId": "abcdef123456",
    "name": "words",
    "blockedInputMessaging": "No.",
    "blockedOutputsMessaging": "No.",
    "wordPolicyConfig": {"wordsConfig": [{"text": "cactus"}]},
}
RULE = {"reply": " Mayonnaise, of course.", "when": {"prompt": "condiment"}}
STREAM = {"prompt": f"<s>[INST] {TEXT} [/INST]", "max_tokens": 5}
CONVERSE = {
    "messages": [{"role": "user", "content": [{"text": TEXT}]}],
    "inferenceConfig": {"maxTokens": 20},
    "guardrailConfig": {"guardrailIdentifier": "abcdef123456", "guardrailVersion": "DRAFT"},
}
WARM_UPS = 500  # frame heads are cached by the length of their random padding
SETTLING_SECONDS = 0.1  # from a response's last byte until the server has finished the call
START_SECONDS = 60.0
NOT_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


class Call(NamedTuple):
    """A function that was entered or resumed."""

    file: str  # as package/folder/file.py
    function: str
    line: int


CallPath = tuple[Call, ...]
Found = TypeVar("Found")


class RefusedError(Exception):
    """A response with an error status."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="measured requests of each kind")
    parser.add_argument("--way", action="store_true", help="list files and functions in order")
    parser.add_argument("--lines", action="store_true", help="count lines of code instead")
    given = parser.parse_args()
    folders = [folder_of("invoke_api"), folder_of("engine")]
    if given.lines:
        for row in line_rows(folders):
            print(row)
        return
    paths = measure(Recorder(folders), given.rounds)
    for row in table(paths):
        print(row)
    if given.way:
        for name, path in paths.items():
            print(f"\n{name}")
            for row in way(path):
                print(row)


def folder_of(package: str) -> Path:
    spec = find_spec(package)
    assert spec, package
    assert spec.origin, package
    return Path(spec.origin).resolve().parent


class Recorder:
    """A profiler of the frames in some folders. It records between `start` and `stop`."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._names: dict[str, str] = {}  # by co_filename; empty for files of others
        self._calls: list[Call] | None = None

    def start(self) -> None:
        self._calls = []

    def stop(self) -> CallPath:
        calls, self._calls = self._calls, None
        return tuple(calls or ())

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call" or self._calls is None:
            return
        code = frame.f_code
        name = self._names.get(code.co_filename)
        if name is None:
            name = self._names[code.co_filename] = self._name(code.co_filename)
        if name:
            self._calls.append(Call(name, code.co_qualname, code.co_firstlineno))

    def _name(self, filename: str) -> str:
        file = Path(filename).resolve()
        for folder in self._folders:
            if file.is_relative_to(folder):
                return str(file.relative_to(folder.parent))
        return ""


def measure(recorder: Recorder, rounds: int) -> dict[str, CallPath]:
    """Serve in this thread until a second one has measured all requests; return their paths."""
    paths: dict[str, CallPath] = {}
    failures: list[Exception] = []

    def drive(port: int) -> None:
        try:
            with retried(lambda: socket.create_connection((HOST, port), timeout=30)) as client:
                retried(lambda: send(client, "GET", "/_emulator/ready"))
                paths.update(measured(client, recorder, rounds))
        except Exception as error:  # noqa: BLE001 - raised below, in the main thread
            failures.append(error)
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    with TemporaryDirectory() as folder:
        guardrails = Path(folder) / "guardrails.yaml"  # JSON is YAML
        guardrails.write_text(json.dumps({"guardrails": [GUARDRAIL]}))
        port = free_port()
        threading.Thread(target=drive, args=[port], daemon=True).start()
        serve(recorder, "--port", str(port), "--guardrails", str(guardrails))
    if failures:
        raise failures[0]
    return paths


def serve(recorder: Recorder, *flags: str) -> None:
    """Run the service as `python -m invoke_api serve` does, until SIGINT."""
    own = ["--engine", "scripted", "--model", MODEL_ID, "--host", HOST]
    sys.argv = ["invoke-api", "serve", *own, *flags]
    threading.setprofile(recorder)  # for threads that the service starts
    sys.setprofile(recorder)
    try:
        runpy.run_module("invoke_api", run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise
    finally:
        sys.setprofile(None)


def free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def retried(attempt: Callable[[], Found]) -> Found:
    """Return what `attempt` returns once it succeeds, which it must within START_SECONDS."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return attempt()
        except (ConnectionRefusedError, RefusedError):
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def measured(
    client: socket.socket, recorder: Recorder, rounds: int
) -> Iterator[tuple[str, CallPath]]:
    """Yield the path of each kind of request, by the name of the kind."""
    model = f"/model/{quote(MODEL_ID, safe='')}"
    stream = partial(send, client, "POST", f"{model}/invoke-with-response-stream", STREAM)
    yield "InvokeModelWithResponseStream, 5 tokens", most_frequent(stream, recorder, rounds)
    send(client, "POST", "/_emulator/rules", RULE)
    converse = partial(send, client, "POST", f"{model}/converse", CONVERSE)
    yield "Converse with a guardrail and a rule", most_frequent(converse, recorder, rounds)


def most_frequent(request: Callable[[], None], recorder: Recorder, rounds: int) -> CallPath:
    """Return the path that most requests took: a timer of the service lengthens a few."""
    for _ in range(WARM_UPS):
        request()
    time.sleep(SETTLING_SECONDS)
    paths: Counter[CallPath] = Counter()
    for _ in range(rounds):
        recorder.start()
        request()
        time.sleep(SETTLING_SECONDS)
        paths[recorder.stop()] += 1
    [(path, _)] = paths.most_common(1)
    return path


def send(client: socket.socket, method: str, path: str, document: object = None) -> None:
    """Send a request at once and read its response. Raise `RefusedError` unless it succeeds."""
    body = json.dumps(document) if document else ""
    head = f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(body)}\r\n\r\n"
    client.sendall(f"{head}{body}".encode())
    with HTTPResponse(client, method=method) as response:
        response.begin()
        answer = response.read()
    if response.status >= 300:
        raise RefusedError(f"{path}: status {response.status}, {answer.decode()}")


def table(paths: Mapping[str, CallPath]) -> Iterator[str]:
    yield "| call | calls | functions | files | switches between files |"
    yield "|---|---|---|---|---|"
    for name, path in paths.items():
        files = [call.file for call in path]
        switches = sum(one != other for one, other in pairwise(files))
        yield f"| {name} | {len(path)} | {len(set(path))} | {len(set(files))} | {switches} |"


def way(path: CallPath) -> Iterator[str]:
    """Yield a line for each stay in a file, with the functions called there in order."""
    for file, calls in groupby(path, key=attrgetter("file")):
        yield f"{file}: {', '.join(call.function for call in calls)}"


def line_rows(folders: Sequence[Path]) -> Iterator[str]:
    yield "| package | files | lines of code |"
    yield "|---|---|---|"
    counts = {
        folder.name: [lines_of_code(file.read_text()) for file in folder.rglob("*.py")]
        for folder in folders
    }
    counts["both"] = [count for each in counts.values() for count in each]
    for name, lines in counts.items():
        yield f"| {name} | {len(lines)} | {sum(lines)} |"


def lines_of_code(source: str) -> int:
    """Count the lines that are not blank and hold more than a comment or a docstring."""
    covered: set[int] = set()
    statement: list[tokenize.TokenInfo] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NOT_CODE:
            statement.append(token)
        elif token.type == tokenize.NEWLINE:
            if [each.type for each in statement] != [tokenize.STRING]:  # else a docstring
                for each in statement:
                    covered.update(range(each.start[0], each.end[0] + 1))
            statement = []
    lines = source.splitlines()
    return sum(bool(lines[number - 1].strip()) for number in covered)


if __name__ == "__main__":
    main()
