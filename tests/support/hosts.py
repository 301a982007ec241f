"""Several hosts on one machine: network namespaces, which veth pairs and a bridge join."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from shutil import which

import pytest


@dataclass(frozen=True)
class Host:
    """A host with an address that this machine reaches, and a cable that can be cut."""

    name: str
    address: str

    def command(self, *words: str) -> list[str]:
        """Return a command that runs on this host."""
        return ["ip", "netns", "exec", self.name, *words]

    def cut(self) -> None:
        """Cut the cable: packets are lost without a sign, as when a machine or a switch dies."""
        _run("ip", "link", "set", f"{self.name}-out", "down")

    def join(self) -> None:
        _run("ip", "link", "set", f"{self.name}-out", "up")


@contextmanager
def hosts(count: int) -> Iterator[tuple[str, list[Host]]]:
    """Yield this machine's own address among the hosts, and the hosts.

    The addresses are of 198.18.0.0/15, which RFC 2544 reserves for tests.
    """
    if os.geteuid() != 0:
        pytest.skip("only root may make network namespaces")
    assert which("ip"), "iproute2 is not installed: scripts/setup test"
    number = os.getpid()
    net = f"198.18.{number % 250}"
    bridge = f"iab{number % 100_000}"
    with ExitStack() as stack:
        _run("ip", "link", "add", bridge, "type", "bridge")
        stack.callback(_run, "ip", "link", "delete", bridge)
        _run("ip", "address", "add", f"{net}.1/24", "dev", bridge)
        _run("ip", "link", "set", bridge, "up")
        made = [
            stack.enter_context(_host(f"ia{number % 100_000}x{each}", f"{net}.{each + 2}", bridge))
            for each in range(count)
        ]
        yield f"{net}.1", made


@contextmanager
def _host(name: str, address: str, bridge: str) -> Iterator[Host]:
    host = Host(name, address)
    _run("ip", "netns", "add", name)
    try:
        _run("ip", "link", "add", f"{name}-out", "type", "veth", "peer", "eth0", "netns", name)
        _run("ip", "link", "set", f"{name}-out", "master", bridge, "up")
        _run(*host.command("ip", "address", "add", f"{address}/24", "dev", "eth0"))
        _run(*host.command("ip", "link", "set", "eth0", "up"))
        _run(*host.command("ip", "link", "set", "lo", "up"))
        yield host
    finally:
        _run("ip", "netns", "delete", name)  # with its end of the cable, and so with the other


def _run(*words: str) -> None:
    done: subprocess.CompletedProcess[str] = subprocess.run(
        words, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"


def command_on(host: Host | None, command: Sequence[str]) -> list[str]:
    """Return the command, on this host if there is one."""
    return host.command(*command) if host else [*command]
