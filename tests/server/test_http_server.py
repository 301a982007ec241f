"""The listening socket, and the signals that stop the service."""

import signal
import socket
import subprocess
import sys

import pytest

from invoke_api.server.http_server import open_socket, to_url


def test_it_says_that_it_is_tcp_so_that_asyncio_sends_small_writes_at_once() -> None:
    with open_socket("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_it_listens_before_anybody_serves_it() -> None:
    with open_socket("127.0.0.1", 0) as listener:
        socket.create_connection(listener.getsockname(), timeout=5).close()


def test_its_url_has_the_port_it_got() -> None:
    with open_socket("127.0.0.1", 0) as listener:
        assert to_url(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_an_address_of_another_machine_is_an_os_error() -> None:
    with pytest.raises(OSError, match="assign requested address"):
        open_socket("192.0.2.1", 0)


SIGNALLED = """
import asyncio, multiprocessing, os, signal, time
from invoke_api.server.http_server import stop_signal


async def main():
    stop_signal()
    child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=[60])
    child.start()
    print("started", flush=True)
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.1)
    await asyncio.sleep(60)


asyncio.run(main())
"""


def test_a_second_signal_ends_it_and_its_children_at_once() -> None:
    done = subprocess.run(  # returns when no process has its output open
        [sys.executable, "-c", SIGNALLED], capture_output=True, text=True, timeout=30, check=False
    )

    assert done.returncode == -signal.SIGTERM
    assert done.stdout == "started\n"
