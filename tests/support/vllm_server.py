"""vLLM's own OpenAI server on a demo checkpoint, in a process."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from types import MappingProxyType
from urllib.error import URLError
from urllib.request import urlopen

from engine.demo import options as demo
from engine.demo.checkpoints import make_demo
from engine.vllm.dtype import instead_of_bfloat16
from engine.vllm.options import ENVIRONMENT
from tests.support.hosts import Host, command_on

CONTEXT = 4_096
STRUCTURED = demo.OPTIONS["structured_outputs_config"]


@contextmanager
def vllm_running(
    cache: Path,
    names: Sequence[str],
    *,
    checkpoint: str = "dense",
    adapters: Mapping[str, Path] = MappingProxyType({}),
    environment: Mapping[str, str] = MappingProxyType(ENVIRONMENT),
    host: Host | None = None,
) -> Iterator[str]:
    """Yield its URL once it answers. `names` are all names of the model there.

    It runs on `host`, or on this machine's loopback.
    """
    address = host.address if host else "127.0.0.1"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = {
        "--model": make_demo(checkpoint, cache),
        "--host": address,
        "--port": port,
        "--max-model-len": CONTEXT,
        "--kv-cache-memory-bytes": demo.OPTIONS["kv_cache_memory_bytes"],
        "--tokenizer-mode": "mistral",
        "--structured-outputs-config": json.dumps(STRUCTURED),
        **{f"--{name}": value for name, value in instead_of_bfloat16().items()},
    }
    flags = [str(part) for pair in options.items() for part in pair]
    if adapters:
        modules = [f"{name}={folder}" for name, folder in adapters.items()]
        # One slot more than adapters: see `invoke_api.models.adapter_checks`.
        flags += ["--enable-lora", "--max-loras", str(len(adapters) + 1)]
        flags += ["--lora-modules", *modules]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *flags]
    with TemporaryFile("w+") as log:
        process = subprocess.Popen(
            command_on(host, [*command, "--enforce-eager", "--served-model-name", *names]),
            stdout=log,
            stderr=log,
            env={**os.environ, **demo.ENVIRONMENT, **environment},
            start_new_session=True,
        )
        url = f"http://{address}:{port}"
        try:
            _wait(process, f"{url}/health", log.fileno())
            yield url
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(timeout=60)


def _wait(process: subprocess.Popen[bytes], url: str, log: int) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(url, timeout=10):
                return
        except (URLError, ConnectionError):
            time.sleep(0.2)
    raise AssertionError(f"vLLM does not answer:\n{os.pread(log, 100_000, 0).decode()}")


def requests_running(url: str) -> float:
    """Return the number of running requests that its scheduler reports."""
    with urlopen(f"{url}/metrics", timeout=10) as answer:
        lines: list[str] = answer.read().decode().splitlines()
    return sum(
        float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith("vllm:num_requests_running")
    )
