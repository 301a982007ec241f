"""Ray Serve with vLLM's CPU build, as examples/ray_serve configures it, in processes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any, NamedTuple

import psutil
import yaml

from engine.demo import options as demo
from engine.demo.checkpoints import make_demo
from engine.vllm.dtype import instead_of_bfloat16
from engine.vllm.options import ENVIRONMENT
from tests.support.servers import ROOT
from tests.support.vllm_server import CONTEXT

EXAMPLE = ROOT / "examples" / "ray_serve"
START_SECONDS = 400
# Ray asks no other machine for anything, and needs a key of whoever connects to its ports.
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_SERVE_ENABLE_HA_PROXY": "0",
}


class RayServer(NamedTuple):
    """Ray Serve in front of replicas. `folder` holds Ray's logs and sockets."""

    url: str
    folder: Path

    def replicas(self) -> list[psutil.Process]:
        """Return the processes of the replicas, each with an engine core as its child."""
        return [each for each in self.processes() if "ServeReplica" in "".join(each.cmdline())]

    def served(self) -> set[int]:
        """Return the process ids of the replicas that have answered a call, ended ones too.

        Ray names the file of a process's standard error after its id.
        """
        logs = self.folder.glob("session_2*/logs/worker-*.err")
        answered = [each for each in logs if "POST /v1/completions 200" in each.read_text()]
        return {int(each.stem.rpartition("-")[2]) for each in answered}

    def processes(self) -> list[psutil.Process]:
        """Return all processes of this cluster, engine cores included."""
        return processes_with("RAY_TMPDIR", str(self.folder))


def processes_with(name: str, value: str) -> list[psutil.Process]:
    """Return the processes that have this variable in the environment they were started with."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(name) == value:
                process.cmdline()
                found.append(process)
        except psutil.Error:
            continue
    return found


def configuration(checkpoint: Path, name: str) -> dict[str, Any]:
    """Return the configuration of the example, for a tiny checkpoint on the CPU."""
    config: dict[str, Any] = yaml.safe_load((EXAMPLE / "serve.yaml").read_text())
    with socket.create_server(("127.0.0.1", 0)) as free:
        config["http_options"] = {"host": "127.0.0.1", "port": free.getsockname()[1]}
    [application] = config["applications"]
    application["args"] |= {
        "model": str(checkpoint),
        "served-model-name": name,
        "max-model-len": CONTEXT,
        "kv-cache-memory-bytes": demo.OPTIONS["kv_cache_memory_bytes"],
        "enforce-eager": True,
        **instead_of_bfloat16(),
    }
    [deployment] = application["deployments"]
    deployment["ray_actor_options"] = {"num_cpus": 0.5}
    return config


@contextmanager
def ray_running(cache: Path, name: str) -> Iterator[RayServer]:
    """Run the example's replicas, and yield once they answer. `name` is the model's."""
    config = configuration(make_demo("dense", cache), name)
    # A short path: the names of sockets in it may have 107 characters.
    with TemporaryDirectory(prefix="ray", dir="/tmp") as folder, TemporaryFile("w+") as log:
        environment = {
            **os.environ,
            **ENVIRONMENT,
            **demo.ENVIRONMENT,
            **SETTINGS,
            "RAY_AUTH_TOKEN": token_hex(32),
            "RAY_TMPDIR": folder,
            "PYTHONPATH": f"{EXAMPLE}",
        }
        server = RayServer(f"http://127.0.0.1:{config['http_options']['port']}", Path(folder))
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.ray_driver", json.dumps(config)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
        try:
            _wait(process, log.fileno())
            yield server
        finally:
            _end(process, server)


def _wait(process: subprocess.Popen[bytes], log: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while b"\nREADY\n" not in (text := os.pread(log, 1_000_000, 0)):
        assert process.poll() is None, f"Ray Serve has ended:\n{text.decode()}"
        assert time.monotonic() < deadline, f"Ray Serve is not ready:\n{text.decode()}"
        time.sleep(0.2)


def _end(process: subprocess.Popen[bytes], server: RayServer) -> None:
    """Have the driver end Ray. Kill processes that are left, and raise an error if any were."""
    assert process.stdin
    process.stdin.close()
    try:
        process.wait(timeout=90)
    finally:
        _, left = psutil.wait_procs(server.processes(), timeout=20)
        names = [" ".join(each.cmdline())[:200] for each in left if each.is_running()]
        for each in left:
            each.send_signal(signal.SIGKILL)
    assert not names, f"Ray has left processes: {names}"
