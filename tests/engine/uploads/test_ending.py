"""Upload workers end with their call and with the service, and are shared fairly."""

from collections.abc import Iterator
from contextlib import closing

import psutil
import pytest

from engine.uploads.limits import MAX_WORKERS
from tests.engine.uploads.bombs import converse_body, docx_of, wide_cell
from tests.engine.uploads.service import (
    CONVERSE,
    WAIT_SECONDS,
    killable,
    send,
    service_at,
    signed,
    wait_for,
)
from tests.support.servers import COMMAND, call, command_running, wait_until_ready

ORDINARY = docx_of(b"<w:p/>")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with command_running([*COMMAND, "--engine", "scripted"]) as url:
        wait_until_ready(url, seconds=30)
        yield url


def test_a_client_that_leaves_takes_its_reader_with_it(url: str) -> None:
    service, bomb = service_at(url), converse_body("docx", wide_cell())
    connections = [send(url, bomb, f"AKIDLEAVING{number}") for number in range(8)]
    readers = wait_for(service, MAX_WORKERS)
    for connection in connections:
        connection.close()

    _, alive = psutil.wait_procs(readers, timeout=WAIT_SECONDS)
    assert not alive
    wait_for(service, 0)
    response, _ = call(url, "POST", CONVERSE, converse_body("docx", ORDINARY))
    assert response.status == 200


def test_one_caller_does_not_keep_others_from_being_read(url: str) -> None:
    service, bomb = service_at(url), converse_body("docx", wide_cell())
    connections = [send(url, bomb, "AKIDGREEDY") for _ in range(8)]
    wait_for(service, MAX_WORKERS - 1)
    document = converse_body("docx", ORDINARY)
    response, _ = call(url, "POST", CONVERSE, document, **signed("AKIDMODEST"))
    still = wait_for(service, MAX_WORKERS - 1)
    for connection in connections:
        connection.close()

    assert response.status == 200
    assert len(still) == MAX_WORKERS - 1
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
        _, alive = psutil.wait_procs(readers, timeout=WAIT_SECONDS)
        connection.close()

    assert not alive


def test_a_service_that_ends_ends_its_readers_and_answers_their_calls() -> None:
    options = ["--engine", "scripted", "--graceful-timeout", "1"]
    with killable([*COMMAND, *options]) as (url, service):
        wait_until_ready(url, seconds=30)
        connection = send(url, converse_body("docx", wide_cell()), "AKIDDRAINED")
        readers = wait_for(service, 1)
        service.terminate()
        with closing(connection):
            response = connection.getresponse()
            answer = response.read()
        _, alive = psutil.wait_procs([service, *readers], timeout=WAIT_SECONDS)

    assert not alive
    assert (response.status, answer) == (
        503,
        b'{"message":"Bedrock is unable to process your request."}',
    )


def test_callers_that_leave_while_they_wait_leave_nothing_behind(url: str) -> None:
    service, bomb = service_at(url), converse_body("docx", wide_cell())
    connections = [send(url, bomb, "AKIDWAITING") for _ in range(30)]
    wait_for(service, MAX_WORKERS - 1)
    for connection in reversed(connections):  # waiting calls before the running one
        connection.close()

    wait_for(service, 0)
    document = converse_body("docx", ORDINARY)
    response, _ = call(url, "POST", CONVERSE, document, **signed("AKIDWAITING"))
    assert response.status == 200
