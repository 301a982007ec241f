"""vLLM's own processes, stopped and killed under a service that goes on: what is lost, and left."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import pytest
import yaml

from engine.demo import options as demo
from engine.demo.checkpoints import CONTEXT, make_demo
from invoke_api.registry import DEFAULT_REGISTRY
from tests.servers import COMMAND, SEVEN_B, call, command_running, invoke, sockets_of
from tests.waiting import until

STALL = 4.0  # seconds, of the registry below
LONG = {"prompt": "turn left", "max_tokens": 8_000, "temperature": 0}
SHORT = {"prompt": "turn left", "max_tokens": 3}


@dataclass(frozen=True)
class Served:
    url: str
    temporary: Path

    def state(self) -> dict[str, Any]:
        models = json.loads(call(self.url, "GET", "/_emulator/health")[1])["models"]
        state: dict[str, Any] = models[SEVEN_B]
        return state

    def is_ready(self) -> bool:
        return call(self.url, "GET", "/_emulator/ready")[0].status == 200

    def processes(self) -> list[psutil.Process]:
        """vLLM's, the core first."""
        [pid] = sockets_of(self.url, psutil.CONN_LISTEN)
        found = psutil.Process(pid).children(recursive=True)
        return [each for each in found if each.name().startswith("VLLM")]


def shared_objects() -> set[str]:
    return {each.name for each in Path("/dev/shm").iterdir()}


@pytest.fixture(scope="module")
def before() -> set[str]:
    return shared_objects()


@pytest.fixture(scope="module")
def served(
    before: set[str], checkpoints: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    registry = yaml.safe_load(DEFAULT_REGISTRY.read_text())
    model = next(each for each in registry["models"] if each["id"] == SEVEN_B)
    model |= {
        "weights": str(make_demo("dense", checkpoints)),
        "tokenizer": "v3",
        "context_length": CONTEXT,
        "vllm": dict(demo.OPTIONS),
        "limits": {"stall_seconds": STALL},
    }
    path = tmp_path_factory.mktemp("registry") / "registry.yaml"
    path.write_text(yaml.safe_dump({"models": [model]}))
    # Not pytest's own folder, whose path is too long for a Unix socket.
    with TemporaryDirectory() as temporary:
        env = {**demo.ENVIRONMENT, "TMPDIR": temporary}
        with command_running([*COMMAND, "--registry", str(path)], env, seconds=60) as url:
            made = Served(url, Path(temporary))
            until(made.is_ready, seconds=120)
            yield made
        assert shared_objects() <= before, "the service left shared memory or semaphores"
        left = [each.name for each in Path(temporary).iterdir()]
        assert [name for name in left if not name.startswith("torchinductor")] == []


def test_a_core_that_is_stopped_is_found_out_and_replaced(served: Served) -> None:
    core, *_ = served.processes()
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(invoke, served.url, LONG) for _ in range(8)]
        until(lambda: served.state()["running"] == 8)
        core.suspend()
        began = time.monotonic()
        statuses = [each.result(timeout=60)[0].status for each in calls]
        took = time.monotonic() - began

    assert statuses == [503] * 8
    assert took < STALL + 10
    assert not served.is_ready()
    assert "hangs: its process" in served.state()["reason"]
    until(served.is_ready, seconds=120)
    assert invoke(served.url, SHORT)[0].status == 200
    assert not core.is_running()
