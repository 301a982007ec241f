"""A service that is sent bombs goes on answering others, and leaves nothing behind."""

import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from tempfile import TemporaryFile

import psutil
import pytest

from engine.uploads.limits import MOST_WORKERS
from tests.servers import (
    COMMAND,
    ROOT,
    SEVEN_B,
    call,
    command_running,
    connect,
    invoke,
    read_url,
    wait_until_ready,
)
from tests.uploads.bombs import converse_body, docx_of, wide_cell

CONVERSE = f"/model/{SEVEN_B.replace(':', '%3A')}/converse"
ORDINARY = docx_of(b"<w:p/>")
PLAIN = {"prompt": "Hello", "max_tokens": 1}
LONGEST_WAIT = 1.0  # seconds that another call may take meanwhile
PATIENCE = 20.0  # seconds that something may take which is waited for


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with command_running([*COMMAND, "--engine", "scripted"]) as url:
        wait_until_ready(url, seconds=30)
        invoke(url, PLAIN)
        yield url


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
        while not is_over.wait(0.05):
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


def test_a_cell_of_five_million_columns_is_refused_and_others_are_answered(url: str) -> None:
    with others_answered(url) as waits:
        response, body = call(url, "POST", CONVERSE, converse_body("docx", wide_cell()))

    assert response.status == 400
    assert b"The document notes could not be read: it takes too" in body
    assert max(waits) < LONGEST_WAIT


def test_a_client_that_leaves_takes_its_reader_with_it(url: str) -> None:
    service, bomb = service_at(url), converse_body("docx", wide_cell())
    connections = [send(url, bomb, f"AKIDLEAVING{number}") for number in range(8)]
    readers = wait_for(service, MOST_WORKERS)
    for connection in connections:
        connection.close()

    wait_for(service, 0)
    assert not any(reader.is_running() for reader in readers)
    response, _ = call(url, "POST", CONVERSE, converse_body("docx", ORDINARY))
    assert response.status == 200


def test_one_caller_does_not_keep_others_from_being_read(url: str) -> None:
    service, bomb = service_at(url), converse_body("docx", wide_cell())
    connections = [send(url, bomb, "AKIDGREEDY") for _ in range(8)]
    wait_for(service, MOST_WORKERS - 1)
    document = converse_body("docx", ORDINARY)
    response, _ = call(url, "POST", CONVERSE, document, **signed("AKIDMODEST"))
    still = wait_for(service, MOST_WORKERS - 1)
    for connection in connections:
        connection.close()

    assert response.status == 200
    assert len(still) == MOST_WORKERS - 1
    wait_for(service, 0)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_readers_end_with_a_service_that_is_killed(workers: str) -> None:
    with killable([*COMMAND, "--engine", "scripted", "--workers", workers]) as (url, service):
        wait_until_ready(url, seconds=30)
        connection = send(url, converse_body("docx", wide_cell()), "AKIDKILLED")
        readers = wait_for(service, 1)
        for process in (*service.children(recursive=True), service):
            if process not in readers:
                process.kill()
        _, alive = psutil.wait_procs(readers, timeout=PATIENCE)
        connection.close()

    assert not alive


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
