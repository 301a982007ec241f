"""Real servers for tests: the command in a process, or an application in a thread."""

import asyncio
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from urllib.parse import quote, urlsplit

import psutil
from starlette.applications import Starlette

from engine.protocol import Engine
from invoke_api.guardrails.guardrail import Guardrail, GuardrailStore
from invoke_api.models.engine_pool import Engines
from invoke_api.models.registry import DEFAULT_REGISTRY, load_registry
from invoke_api.pipeline.request_body import InFlightCalls
from invoke_api.server.app import create_app
from invoke_api.server.http_server import DEFAULT_LIMITS, Grace, open_socket, serve, to_url
from invoke_api.transport.limits import Limits
from tests.support import forking

ROOT = Path(__file__).parents[2]
AS_USUAL = Grace()
COMMAND = (str(Path(sys.executable).parent / "invoke-api"), "serve", "--port", "0")
GUARDRAILS = ROOT / "tests" / "guardrails" / "guardrails.yaml"

SEVEN_B = "mistral.mistral-7b-instruct-v0:2"
MIXTRAL = "mistral.mixtral-8x7b-instruct-v0:1"
SMALL = "mistral.mistral-small-2402-v1:0"
LARGE = "mistral.mistral-large-2402-v1:0"
LARGE_2407 = "mistral.mistral-large-2407-v1:0"  # in us-west-2 only
PIXTRAL = "us.mistral.pixtral-large-2502-v1:0"  # its profile
LARGE_3 = "mistral.mistral-large-3-675b-instruct"
MINISTRAL_3B = "mistral.ministral-3-3b-instruct"
VOXTRAL_MINI = "mistral.voxtral-mini-3b-2507"
VOXTRAL_SMALL = "mistral.voxtral-small-24b-2507"
BASE = "mistral-7b-v0.1"  # by /v1/completions only
BASE_WEIGHTS = "mistralai/Mistral-7B-v0.1"


@contextmanager
def command_running(
    command: Sequence[str], env: Mapping[str, str] | None = None, *, seconds: float = 30
) -> Iterator[str]:
    """Run the command and yield the URL that it prints. It must end on SIGINT."""
    environment = {**os.environ, **(env or {})}
    with TemporaryFile("w+") as log:
        process: subprocess.Popen[bytes] | forking.Forked
        if _forks(command):
            process = forking.start(command[1:], log=log.fileno(), cwd=ROOT, env=environment)
        else:
            process = subprocess.Popen(
                command, stderr=log, cwd=ROOT, env=environment, start_new_session=True
            )
        try:
            yield read_url(process, log.fileno(), time.monotonic() + seconds)
        finally:
            with suppress(ProcessLookupError):  # it has ended by itself
                os.killpg(process.pid, signal.SIGINT)
            process.wait(timeout=60)


def _forks(command: Sequence[str]) -> bool:
    """Tell whether it is ours and starts neither vLLM nor workers, which need a fresh process."""
    needs_no_vllm = {"scripted", "replay", "remote", "record"} & {*command}
    return command[0] == COMMAND[0] and bool(needs_no_vllm) and "--workers" not in command


def read_url(process: subprocess.Popen[bytes] | forking.Forked, log: int, deadline: float) -> str:
    while time.monotonic() < deadline:
        text = os.pread(log, 100_000, 0).decode()
        if found := re.search(r"(?:listens|unning) on (https?://\S+)", text):
            return found[1]
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise AssertionError(f"the server did not say where it listens:\n{text}")


def run_command(
    *arguments: str, cwd: Path = ROOT, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `invoke-api` with these arguments to its end, in this environment or in our own."""
    return forking.run(arguments, cwd=cwd, env=os.environ if env is None else env)


def wait_until_ready(url: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        response, body = call(url, "GET", "/_emulator/ready")
        if response.status == 200:
            return
        assert time.monotonic() < deadline, body
        assert b"failed" not in body, body
        time.sleep(0.1)


def watch_loading(url: str, seconds: float) -> list[dict[str, str]]:
    """Wait until all models are ready. Return the status of each, after every change of one."""
    deadline = time.monotonic() + seconds
    seen: list[dict[str, str]] = []
    while not seen or set(seen[-1].values()) != {"ready"}:
        _, body = call(url, "GET", "/_emulator/health")
        assert time.monotonic() < deadline, body
        assert b"failed" not in body, body
        now = {model: state["status"] for model, state in json.loads(body)["models"].items()}
        if not seen or now != seen[-1]:
            seen.append(now)
        time.sleep(0.1)
    return seen


@contextmanager
def engine_running(
    engine: Engine,
    guardrails: Sequence[Guardrail] = (),
    grace: Grace = AS_USUAL,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[str]:
    """Run the service with this engine for Mistral 7B in a thread. Yield its URL."""
    registry = load_registry(DEFAULT_REGISTRY).only([SEVEN_B])
    calls = InFlightCalls()
    engines = Engines({SEVEN_B: engine})
    app = create_app(registry, engines, calls, guardrails=GuardrailStore(guardrails))
    with app_running(app, calls, grace, limits) as url:
        yield url


@contextmanager
def app_running(
    app: Starlette, calls: InFlightCalls, grace: Grace = AS_USUAL, limits: Limits = DEFAULT_LIMITS
) -> Iterator[str]:
    """Run an application on our HTTP server in a thread. Yield its URL."""
    listener = open_socket("127.0.0.1", 0)
    stop = asyncio.Event()
    loop = asyncio.new_event_loop()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(serve(app, listener, stop, calls, grace=grace, limits=limits))
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield to_url(listener)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=30)
        assert not thread.is_alive()


def connect(url: str) -> HTTPConnection:
    address = urlsplit(url)
    assert address.hostname
    if address.scheme == "https":  # the SDK tests verify certificates
        context = ssl._create_unverified_context()  # noqa: SLF001 - the library's own way
        return HTTPSConnection(address.hostname, address.port, timeout=30, context=context)
    return HTTPConnection(address.hostname, address.port, timeout=30)


def call(
    url: str, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[HTTPResponse, bytes]:
    """Send one raw HTTP/1.1 request, without an SDK."""
    connection = connect(url)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def invoke(
    url: str, body: Mapping[str, Any] | bytes, model: str = SEVEN_B, operation: str = "invoke"
) -> tuple[HTTPResponse, bytes]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return call(url, "POST", f"/model/{quote(model, safe='')}/{operation}", raw)


def sockets_of(url: str, status: str) -> Counter[int | None]:
    """Count each process's sockets of this status on the port of the service."""
    port = int(url.rsplit(":", 1)[1])
    return Counter(
        each.pid
        for each in psutil.net_connections("tcp")
        if each.status == status and tuple(each.laddr)[1] == port
    )
