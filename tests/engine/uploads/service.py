"""A service that reads uploads, observed from outside: its workers, memory and answers."""

import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from tempfile import TemporaryFile

import psutil

from tests.support.servers import ROOT, SEVEN_B, connect, invoke, read_url

CONVERSE = f"/model/{SEVEN_B.replace(':', '%3A')}/converse"
PLAIN = {"prompt": "Hello", "max_tokens": 1}
WAIT_SECONDS = 20.0


def service_at(url: str) -> psutil.Process:
    port = int(url.rsplit(":", 1)[1])
    return next(
        psutil.Process(each.pid)
        for each in psutil.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN and tuple(each.laddr)[1] == port
    )


def readers_below(service: psutil.Process) -> set[psutil.Process]:
    """Return the worker processes that the service has now."""
    return {each for each in service.children(recursive=True) if is_reading(each)}


def is_reading(process: psutil.Process) -> bool:
    try:
        is_busy = process.status() == psutil.STATUS_RUNNING
        return is_busy and "engine.uploads.worker" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False


def wait_for(service: psutil.Process, number: int) -> set[psutil.Process]:
    """Wait until the service has so many workers, and return them."""
    deadline = time.monotonic() + WAIT_SECONDS
    while len(found := readers_below(service)) != number:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found


def signed(key: str) -> dict[str, str]:
    scope = f"Credential={key}/20300101/us-east-1/bedrock/aws4_request"
    return {"Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"}


def send(url: str, body: bytes, key: str) -> HTTPConnection:
    """Send a call and return the connection; closing it hangs up."""
    connection = connect(url)
    connection.request("POST", CONVERSE, body, signed(key))
    return connection


@contextmanager
def others_answered(url: str) -> Iterator[list[float]]:
    """Make calls every 50 ms meanwhile, and yield the seconds that each took."""
    waits: list[float] = []
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.wait(0.05 if waits else 0.0):
            began = time.monotonic()
            response, _ = invoke(url, PLAIN)
            waits.append(time.monotonic() - began if response.status == 200 else float("inf"))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield waits
    finally:
        is_over.set()
        thread.join()


@contextmanager
def memory_watched(service: psutil.Process) -> Iterator[list[int]]:
    """Sample the memory of service and workers every 20 ms, and yield the bytes.

    The workers are looked up every 100 ms only: that takes 5 ms, and a worker 100 to start.
    """
    sums: list[int] = []
    is_over = threading.Event()

    def sample() -> None:
        processes = [service]
        while not is_over.wait(0.02 if sums else 0.0):
            if len(sums) % 5 == 0:
                processes = [service, *service.children(recursive=True)]
            sums.append(sum(map(resident, processes)))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield sums
    finally:
        is_over.set()
        thread.join()


def resident(process: psutil.Process) -> int:
    try:
        size: int = process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0
    return size


@contextmanager
def killable(command: Sequence[str]) -> Iterator[tuple[str, psutil.Process]]:
    """Yield the URL and the process of a service that may die meanwhile."""
    with (
        TemporaryFile("w+") as log,
        subprocess.Popen(command, stderr=log, cwd=ROOT, start_new_session=True) as process,
    ):
        try:
            url = read_url(process, log.fileno(), time.monotonic() + WAIT_SECONDS)
            yield url, psutil.Process(process.pid)
        finally:
            process.kill()
