"""A fleet on two hosts, of which one is cut off and joins again: every call gets an answer."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

from tests.reliability.load import MODELLED, USERS, Load
from tests.support.hosts import Host, hosts
from tests.support.servers import (
    COMMAND,
    ROOT,
    SEVEN_B,
    command_running,
    wait_until_ready,
)
from tests.support.vllm_server import requests_running, vllm_running
from tests.support.waiting import until

WEIGHTS = "mistralai/Mistral-7B-Instruct-v0.2"  # as the registry names them, and so the servers
# Seconds until HAProxy has noticed that a host is gone: three checks, two seconds apart, the last
# with a time-out of its own. A busy machine is later.
NOTICED_SECONDS = 25.0


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
