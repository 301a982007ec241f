"""A service that reads uploads, looked at from outside: its readers, its memory, its answers."""

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
PATIENCE = 20.0  # seconds that something may take which is waited for


def service_at(url: str) -> psutil.Process:
    port = int(url.rsplit(":", 1)[1])
    return next(
        psutil.Process(each.pid)
        for each in psutil.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN and tuple(each.laddr)[1] == port
    )


def readers_below(service: psutil.Process) -> set[psutil.Process]:
    """The processes that are reading something for the service now."""
    return {each for each in service.children(recursive=True) if is_reading(each)}


def is_reading(process: psutil.Process) -> bool:
    try:
        is_busy = process.status() == psutil.STATUS_RUNNING
        return is_busy and "engine.uploads.worker" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False


def wait_for(service: psutil.Process, number: int) -> set[psutil.Process]:
    """The processes that read for the service, once they are so many."""
    deadline = time.monotonic() + PATIENCE
    while len(found := readers_below(service)) != number:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found


def signed(key: str) -> dict[str, str]:
    scope = f"Credential={key}/20300101/us-east-1/bedrock/aws4_request"
    return {"Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"}


def send(url: str, body: bytes, key: str) -> HTTPConnection:
    """A call that is under way; to close it hangs up."""
    connection = connect(url)
    connection.request("POST", CONVERSE, body, signed(key))
    return connection


@contextmanager
def others_answered(url: str) -> Iterator[list[float]]:
    """How many seconds each of the calls took that are made meanwhile, every 50 ms."""
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
    """How many bytes the service and its readers had together, every 20 ms.

    Readers are looked for every 100 ms, which takes long, and so does the start of one.
    """
    sums: list[int] = []
    is_over = threading.Event()

    def look() -> None:
        processes = [service]
        while not is_over.wait(0.02 if sums else 0.0):
            if len(sums) % 5 == 0:
                processes = [service, *service.children(recursive=True)]
            sums.append(sum(map(resident, processes)))

    thread = threading.Thread(target=look)
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
    """The URL and the process of a service that may be dead in the end."""
    with (
        TemporaryFile("w+") as log,
        subprocess.Popen(command, stderr=log, cwd=ROOT, start_new_session=True) as process,
    ):
        try:
            url = read_url(process, log.fileno(), time.monotonic() + PATIENCE)
            yield url, psutil.Process(process.pid)
        finally:
            process.kill()
