"""A fleet on two hosts, of which one is cut off and joins again: every call gets an answer."""

import json
import socket
import subprocess
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

from tests.support.hosts import Host, hosts
from tests.support.servers import (
    COMMAND,
    ROOT,
    SEVEN_B,
    command_running,
    invoke,
    wait_until_ready,
)
from tests.support.streams import split_frames
from tests.support.vllm_server import requests_running, vllm_running
from tests.support.waiting import until

WEIGHTS = "mistralai/Mistral-7B-Instruct-v0.2"  # as the registry names them, and so the servers
STREAM = "invoke-with-response-stream"
BODY = {"prompt": "turn left", "max_tokens": 200, "temperature": 0}
USERS = 6
# Seconds until HAProxy has noticed that a host is gone: three checks, two seconds apart, the last
# with a time-out of its own. A busy machine is later.
NOTICED_SECONDS = 25.0
LONGEST_SECONDS = 60.0


class Answered(NamedTuple):
    """The end of a call. `error` is the type of its error, or None. Times are of one clock."""

    began: float
    ended: float
    error: str | None


@dataclass
class Load:
    """Users of a service, each of whom makes one call after the other."""

    url: str
    answers: list[Answered] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[None]:
        over = threading.Event()
        users = [threading.Thread(target=self._use, args=[over]) for _ in range(USERS)]
        for user in users:
            user.start()
        try:
            yield
        finally:
            over.set()
            for user in users:
                user.join(LONGEST_SECONDS)
            assert not any(user.is_alive() for user in users), "a call has no end"

    def _use(self, over: threading.Event) -> None:
        while not over.is_set():
            began = time.monotonic()
            try:
                error = ask(self.url)
            except BaseException as failure:  # noqa: BLE001 - the test looks at it
                self.failures.append(failure)
                return
            self.answers.append(Answered(began, time.monotonic(), error))
            if error:
                time.sleep(0.5)  # as SDKs do

    def wait_for_more(self) -> float:
        """Wait until each user has made a call that began from now on. Return when that was."""
        now = time.monotonic()
        until(lambda: bool(self.failures) or len(self.since(now)) > USERS, seconds=LONGEST_SECONDS)
        assert self.failures == []
        return now

    def since(self, moment: float) -> list[Answered]:
        """Return the answers to calls that began after this moment."""
        return [each for each in self.answers if each.began > moment]


def ask(url: str) -> str | None:
    """Make a call. Return None if its text came whole, or the type of its error."""
    response, raw = invoke(url, BODY, SEVEN_B, STREAM)
    if response.status != 200:
        return response.headers["x-amzn-ErrorType"].partition(":")[0]
    last = split_frames(raw)[-1]
    if last.headers[":message-type"] == "exception":
        return str(last.headers[":exception-type"])
    [output] = json.loads(b64decode(json.loads(last.payload)["bytes"]))["outputs"]
    assert output["stop_reason"] in ("stop", "length")
    return None


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@contextmanager
def balancer_running(servers: list[str]) -> Iterator[str]:
    """Run HAProxy with the configuration of examples/fleet. Yield its URL."""
    text = (ROOT / "examples" / "fleet" / "haproxy.cfg").read_text()
    for number, server in enumerate(servers, 1):
        text = text.replace(f" vllm-{number}:8000", f" {server.removeprefix('http://')}")
    port, statistics = free_port(), free_port()
    text = text.replace("bind :8000", f"bind 127.0.0.1:{port}")
    text = text.replace("bind :8404", f"bind 127.0.0.1:{statistics}")
    command = which("haproxy")
    assert command, "HAProxy is not installed: scripts/setup test"
    with TemporaryDirectory() as folder:
        (file := Path(folder) / "haproxy.cfg").write_text(text)
        process = subprocess.Popen([command, "-db", "-f", file], stdout=subprocess.DEVNULL)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=20)


class Fleet(NamedTuple):
    url: str
    hosts: list[Host]
    servers: list[str]


@pytest.fixture
def fleet(checkpoints: Path) -> Iterator[Fleet]:
    """Run a vLLM server on each of two hosts, and HAProxy and our service on this one."""
    with ExitStack() as stack:
        _, both = stack.enter_context(hosts(2))
        servers = [
            stack.enter_context(vllm_running(checkpoints, [WEIGHTS], host=host)) for host in both
        ]
        balancer = stack.enter_context(balancer_running(servers))
        command = [*COMMAND, "--model", SEVEN_B, "--engine", "remote", "--remote", balancer]
        url = stack.enter_context(command_running(command))
        wait_until_ready(url, seconds=60)
        yield Fleet(url, both, servers)


@pytest.mark.vllm
def test_a_host_that_is_cut_off_loses_no_call_without_an_answer(fleet: Fleet) -> None:
    load = Load(fleet.url)
    lost = fleet.hosts[1]
    with load.running():
        until(lambda: all(requests_running(server) for server in fleet.servers), seconds=60)

        lost.cut()
        cut = time.monotonic()
        time.sleep(NOTICED_SECONDS)
        noticed = load.wait_for_more()

        lost.join()
        until(lambda: requests_running(fleet.servers[1]) > 0, seconds=60)
        load.wait_for_more()

    assert {each.error for each in load.answers} <= {None, *MODELLED}
    # Calls that were on the lost host ended soon: with an error, or on the other host if they had
    # no token yet.
    in_flight = [each for each in load.answers if each.began < cut < each.ended]
    assert len(in_flight) == USERS
    assert max(each.ended - cut for each in in_flight) < NOTICED_SECONDS
    # Nobody noticed anything before, and nobody once the balancer knew.
    assert all(each.error is None for each in load.answers if each.ended < cut)
    assert all(each.error is None for each in load.since(noticed))


# The errors that docs/operate/remote.md promises if a server fails.
MODELLED = {
    "modelStreamErrorException",
    "ServiceUnavailableException",
    "serviceUnavailableException",
    "ThrottlingException",
    "ModelErrorException",
    "internalServerException",
}
