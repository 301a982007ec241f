"""Stopped and killed vLLM processes under a running service: lost calls and leftovers."""

import json
import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import pytest
import yaml

from engine.demo import options as demo
from engine.demo.checkpoints import CONTEXT_LENGTH, make_demo
from engine.vllm.leftovers import Leftovers
from invoke_api.models.registry import DEFAULT_REGISTRY
from tests.support.metrics import Scrape
from tests.support.servers import COMMAND, SEVEN_B, call, connect, invoke
from tests.support.waiting import until

INVOKE = f"/model/{SEVEN_B}/invoke"
STALL_SECONDS = 4.0  # seconds, of the registry below
LOAD = (
    280.0  # seconds that a load may take on a busy machine; it is a tenth of it on one that idles
)
EXTRA_SECONDS = 40.0  # seconds on top of what is promised, likewise
WORKERS = 2
BROKEN = 0  # in place of the status if the connection broke
LONG = {"prompt": "turn left", "max_tokens": 8_000, "temperature": 0}
HUNDREDS = {**LONG, "max_tokens": 200}
SHORT = {"prompt": "turn left", "max_tokens": 3}


@dataclass(frozen=True)
class Served:
    url: str
    process: subprocess.Popen[bytes]  # the first one
    temporary: Path
    found: Leftovers
    others: frozenset[str]  # shared objects of other tests' engines

    def state(self) -> dict[str, Any]:
        models = json.loads(call(self.url, "GET", "/_emulator/health")[1])["models"]
        state: dict[str, Any] = models[SEVEN_B]
        return state

    def is_ready(self) -> bool:
        return call(self.url, "GET", "/_emulator/ready")[0].status == 200

    def processes(self) -> list[psutil.Process]:
        """Wait for vLLM's core and its worker, and return them."""
        found = psutil.Process(self.process.pid).children(recursive=True)
        with suppress(psutil.NoSuchProcess):
            return [each for each in found if each.name().startswith("VLLM")]
        return []

    def shared(self) -> set[str]:
        """Return the names of shared memory and semaphores of the service's processes."""
        return (self.found.known() & shared_names()) - self.others

    def log(self) -> str:
        return (self.temporary / "log").read_text()

    def files(self) -> list[str]:
        """Return the files in the temporary folder, without torch's cache of constant name."""
        paths = self.temporary.rglob("*")
        return sorted(each.name for each in paths if "torchinductor" not in str(each))


def shared_names() -> frozenset[str]:
    return frozenset(each.name for each in Path("/dev/shm").iterdir())


@pytest.fixture(scope="module")
def registry(checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    document = yaml.safe_load(DEFAULT_REGISTRY.read_text())
    model = next(each for each in document["models"] if each["id"] == SEVEN_B)
    model |= {
        "weights": str(make_demo("dense", checkpoints)),
        "tokenizer": "v3",
        "context_length": CONTEXT_LENGTH,
        "vllm": dict(demo.OPTIONS),
        "limits": {"stall_seconds": STALL_SECONDS},
    }
    path = tmp_path_factory.mktemp("registry") / "registry.yaml"
    path.write_text(yaml.safe_dump({"models": [model]}))
    return path


@contextmanager
def serving(registry: Path, *flags: str) -> Iterator[Served]:
    """Yield the service, which must leave no shared memory, file or process."""
    found = Leftovers()  # of this process's descendants only
    others = shared_names()
    # Not pytest's folder: its path is too long for a Unix socket.
    with TemporaryDirectory() as temporary, (Path(temporary) / "log").open("w") as log:
        env = {**os.environ, **demo.ENVIRONMENT, "TMPDIR": temporary}
        command = [*COMMAND, "--registry", str(registry), *flags]
        with (
            found.noting(),
            subprocess.Popen(command, stderr=log, env=env, start_new_session=True) as process,
        ):
            served = Served("", process, Path(temporary), found, others)
            try:
                until(lambda: "listens on" in served.log() or process.poll() is not None, LOAD)
                [url] = re.findall(r"listens on (\S+)", served.log())
                yield replace(served, url=url)
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=120)
        until(lambda: not session(process.pid), LOAD)
        assert served.files() == ["log"]
    assert found.known() - others, "else nothing was shared, and nothing is shown"
    until(lambda: served.shared() == set(), LOAD)


def session(pid: int) -> list[int]:
    """Return the processes of this process's session, even orphans."""
    found = []
    for each in psutil.pids():
        with suppress(ProcessLookupError):
            if os.getsid(each) == pid:
                found.append(each)
    return found


def calls_under_way(served: Served, pool: ThreadPoolExecutor, count: int) -> list[Future[int]]:
    calls = [pool.submit(lambda: invoke(served.url, LONG)[0].status) for _ in range(count)]
    until(lambda: served.state()["running"] == count, EXTRA_SECONDS)
    return calls


@pytest.mark.vllm
@pytest.mark.timeout(900)
def test_cores_that_are_stopped_or_killed_are_replaced_and_leave_nothing(registry: Path) -> None:
    with serving(registry) as served, ThreadPoolExecutor(8) as pool:
        until(served.is_ready, LOAD)
        shared, files = served.shared(), served.files()
        core, worker = served.processes()
        calls = calls_under_way(served, pool, 8)
        core.suspend()
        began = time.monotonic()
        statuses = [each.result(timeout=60) for each in calls]
        took = time.monotonic() - began

        assert statuses == [503] * 8
        assert took < STALL_SECONDS + EXTRA_SECONDS
        assert not served.is_ready()
        until(served.is_ready, LOAD)
        assert "vLLM's engine core hangs: its process" in served.log()
        assert invoke(served.url, SHORT)[0].status == 200
        assert not core.is_running()
        assert not worker.is_running()
        assert not shared & served.shared(), "the first core's"
        assert len(served.files()) == len(files)

        core, worker = served.processes()
        shared = served.shared()
        worker.suspend()  # the idle core does not notice it
        until(lambda: not served.is_ready(), STALL_SECONDS + EXTRA_SECONDS)
        until(lambda: len(served.processes()) == 2 and not core.is_running(), LOAD)
        assert not shared & served.shared()
        for each in served.processes():  # while they load
            each.kill()
        until(lambda: served.log().count("failed after") == 1, EXTRA_SECONDS)


@pytest.mark.vllm
@pytest.mark.timeout(900)
def test_workers_share_a_core_that_is_stopped_and_end_in_order_when_one_is_killed(
    registry: Path,
) -> None:
    flags = ["--workers", str(WORKERS), "--graceful-timeout", str(LOAD)]
    with serving(registry, *flags) as served:
        assert_all_become_ready(served)
        core, *_ = served.processes()
        core.suspend()
        assert invoke(served.url, LONG)[0].status == 503
        until(lambda: not served.is_ready(), EXTRA_SECONDS)
        assert "vLLM's engine core hangs: its process" in served.log()
        assert_all_become_ready(served)
        assert not core.is_running()

        with ExitStack() as stack, ThreadPoolExecutor(48) as pool:
            kept = [stack.enter_context(closing(connect(served.url))) for _ in range(48)]
            for each in kept:
                assert ask(each, "GET", "/_emulator/health") == 200
            pids = owners(served.url)
            places = [pids[each.sock.getsockname()[1]] for each in kept]
            calls = [pool.submit(ask, each, "POST", INVOKE, HUNDREDS) for each in kept]
            until(
                lambda: Scrape(served.url).sum("invoke_api_engine_calls_running") == 48,
                EXTRA_SECONDS,
            )
            victim = psutil.Process(places[0])
            victim.kill()
            outcomes = Counter(zip(places, (each.result(LOAD) for each in calls), strict=True))

        lost = {pid for pid, status in outcomes if status == BROKEN}
        assert lost == {victim.pid}, "only the calls of the dead one are lost"
        assert {status for pid, status in outcomes if pid != victim.pid} == {200}
        assert served.process.wait(timeout=EXTRA_SECONDS) == 1
        assert "the other workers finish their calls, and the service ends" in served.log()


def assert_all_become_ready(served: Served) -> None:
    """Check that all models become ready together."""
    until(served.is_ready, LOAD)
    with ExitStack() as stack:
        kept = [stack.enter_context(closing(connect(served.url))) for _ in range(16)]
        ready = [ask(each, "GET", "/_emulator/ready") for each in kept]
        assert len(set(owners(served.url).values())) == WORKERS

    assert ready == [200] * len(kept)


def ask(connection: HTTPConnection, method: str, path: str, body: object = None) -> int:
    """Return the status once the whole answer has arrived."""
    try:
        connection.request(method, path, json.dumps(body) if body else None)
        response = connection.getresponse()
        response.read()
    except (HTTPException, OSError):
        return BROKEN
    return response.status


def owners(url: str) -> dict[Any, int]:
    """Return the process that has each connection, by the client's port."""
    port = int(url.rsplit(":", 1)[1])
    return {
        tuple(each.raddr)[1]: each.pid
        for each in psutil.net_connections("tcp")
        if each.status == psutil.CONN_ESTABLISHED and tuple(each.laddr)[1] == port and each.pid
    }
