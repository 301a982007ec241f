"""Readers of uploads end with their call and with their service, and are shared by callers."""

from collections.abc import Iterator

import psutil
import pytest

from engine.uploads.limits import MOST_WORKERS
from tests.servers import COMMAND, call, command_running, wait_until_ready
from tests.uploads.bombs import converse_body, docx_of, wide_cell
from tests.uploads.service import (
    CONVERSE,
    PATIENCE,
    killable,
    send,
    service_at,
    signed,
    wait_for,
)

ORDINARY = docx_of(b"<w:p/>")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with command_running([*COMMAND, "--engine", "scripted"]) as url:
        wait_until_ready(url, seconds=30)
        yield url


def test_a_client_that_leaves_takes_its_reader_with_it(url: str) -> None:
    service, bomb = service_at(url), converse_body("docx", wide_cell())
    connections = [send(url, bomb, f"AKIDLEAVING{number}") for number in range(8)]
    readers = wait_for(service, MOST_WORKERS)
    for connection in connections:
        connection.close()

    _, alive = psutil.wait_procs(readers, timeout=PATIENCE)
    assert not alive
    wait_for(service, 0)
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
