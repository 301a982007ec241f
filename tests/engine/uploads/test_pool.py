"""Upload workers: reused, replaced, killed; and the reasons of refusals."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psutil
import pytest

from engine.errors import ChatRefused
from engine.tokenization import images
from engine.uploads import pool as pools
from engine.uploads import reader as readers
from engine.uploads.call import CURRENT_SESSION, UploadSession
from engine.uploads.limits import DOCUMENT_LIMITS, IMAGE_LIMITS, UploadLimits
from engine.uploads.messages import Message, encode_message
from engine.uploads.pool import WorkerPool
from engine.uploads.refusals import UploadRefused
from invoke_api.dialects import documents
from invoke_api.wire.errors import ValidationException
from tests.engine.uploads.bombs import merged_sheet, wide_cell
from tests.engine.uploads.image_bombs import many_scans
from tests.support.images import png, to_url

PAGE = b"<p>north</p>"
WAIT_SECONDS = 20.0
ROOM = {"unscaled": 10**9, "most": 10**9, "side": None}


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    made = WorkerPool()
    yield made
    made.close()


@pytest.fixture
def call() -> Iterator[UploadSession]:
    made = UploadSession()
    token = CURRENT_SESSION.set(made)
    yield made
    CURRENT_SESSION.reset(token)


def workers() -> set[int]:
    """Return the workers of this process."""
    return {child.pid for child in psutil.Process().children() if is_worker(child)}


def is_worker(process: psutil.Process) -> bool:
    try:
        return "engine.uploads.worker" in " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False


def read(
    pool: WorkerPool, raw: bytes = PAGE, kind: str = "html", limits: UploadLimits = DOCUMENT_LIMITS
) -> str:
    return pool.read(kind, raw, limits).payload.decode()


def refusal(pool: WorkerPool, raw: bytes, kind: str, limits: UploadLimits, **options: Any) -> str:
    with pytest.raises(UploadRefused) as caught:
        pool.read(kind, raw, limits, **options)
    return caught.value.reason


def test_a_worker_is_used_again_and_none_is_started_before_it_is_needed() -> None:
    before = workers()
    pool = WorkerPool()
    assert workers() == before
    assert read(pool) == "north"
    first = workers() - before
    assert read(pool) == "north"
    assert workers() - before == first
    pool.close()

    assert len(first) == 1
    assert workers() == before


def test_a_worker_that_has_died_is_replaced(pool: WorkerPool) -> None:
    before = workers()
    read(pool)
    [first] = workers() - before
    os.kill(first, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(first)], timeout=WAIT_SECONDS)

    assert read(pool) == "north"
    assert workers() - before != {first}


@pytest.mark.parametrize("limit", ["MAX_UPLOADS_PER_WORKER", "MAX_RESIDENT_BYTES"])
def test_a_worker_is_replaced_in_time(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(pools, limit, 1)
    before, pool = workers(), WorkerPool()
    read(pool)

    assert workers() == before


def test_each_limit_is_told_apart(pool: WorkerPool) -> None:
    # On a busy machine the time would be over before the CPU time.
    cell = replace(DOCUMENT_LIMITS, cpu_seconds=0, seconds=WAIT_SECONDS)
    scans = replace(IMAGE_LIMITS, cpu_seconds=0, seconds=WAIT_SECONDS)
    sheet = replace(DOCUMENT_LIMITS, memory=50_000_000)

    assert refusal(pool, wide_cell(), "docx", cell) == "cpu"
    assert refusal(pool, wide_cell(), "docx", replace(DOCUMENT_LIMITS, seconds=0.3)) == "time"
    assert refusal(pool, merged_sheet(), "xlsx", sheet) == "memory"
    assert refusal(pool, PAGE, "html", replace(DOCUMENT_LIMITS, output=3)) == "output"
    assert refusal(pool, b"no pdf", "pdf", DOCUMENT_LIMITS) == "broken"
    assert refusal(pool, b"no image", "image", IMAGE_LIMITS, **ROOM) == "unknown"
    assert refusal(pool, png(size=(9, 9)), "image", IMAGE_LIMITS, **{**ROOM, "most": 80}) == "many"
    assert refusal(pool, png(size=(8_001, 1)), "image", IMAGE_LIMITS, **ROOM) == "pixels"
    assert refusal(pool, many_scans(), "image", scans, **ROOM) == "cpu"


def test_a_format_whose_library_is_missing_says_so(
    monkeypatch: pytest.MonkeyPatch, pool: WorkerPool
) -> None:
    program = readers.PROGRAM.replace("from engine", "sys.modules['docx'] = None; from engine", 1)
    monkeypatch.setattr(readers, "PROGRAM", program)

    assert refusal(pool, wide_cell(), "docx", DOCUMENT_LIMITS) == "missing"


def test_a_call_that_is_cancelled_ends_its_reader(pool: WorkerPool, call: UploadSession) -> None:
    before = workers()
    killer = threading.Thread(target=_cancel_once_it_reads, args=[call, before])
    killer.start()

    assert refusal(pool, wide_cell(), "docx", DOCUMENT_LIMITS) == "cancelled"
    killer.join()
    assert workers() == before
    assert refusal(pool, PAGE, "html", DOCUMENT_LIMITS) == "cancelled"


def _cancel_once_it_reads(call: UploadSession, before: set[int]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while workers() == before and time.monotonic() < deadline:
        time.sleep(0.01)
    call.cancel()


def test_the_uploads_of_a_call_share_its_time(pool: WorkerPool) -> None:
    token = CURRENT_SESSION.set(UploadSession(seconds=0.5))
    try:
        assert refusal(pool, wide_cell(), "docx", DOCUMENT_LIMITS) == "time"
        assert refusal(pool, PAGE, "html", DOCUMENT_LIMITS) == "time"
    finally:
        CURRENT_SESSION.reset(token)


def test_no_worker_can_be_started(monkeypatch: pytest.MonkeyPatch, pool: WorkerPool) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    files = psutil.Process().num_fds()

    assert refusal(pool, PAGE, "html", DOCUMENT_LIMITS) == "unavailable"
    assert psutil.Process().num_fds() == files


def answering(answer: bytes) -> str:
    """Return a worker that always gives this answer."""
    said = f"import os; os.read(0, 9); os.write(1, bytes.fromhex('{answer.hex()}'))"
    return said + "  # {path} {fd}"


HEAD = b"\0\0\0\2" + bytes(8)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "broken"),
        (HEAD + b"{", "broken"),
        (b"\xff" * 12, "output"),
        (HEAD + b"[]", "output"),
        (HEAD + b"{{", "output"),
        (HEAD + b"{}", "output"),
        (encode_message(Message({"resident": 0, "refused": ["broken"]})), "output"),
        (encode_message(Message({"resident": "much"})), "output"),
    ],
    ids=["nothing", "half", "too much", "no object", "no JSON", "empty", "reason", "resident"],
)
def test_a_worker_that_has_been_taken_over_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, pool: WorkerPool, answer: bytes, reason: str
) -> None:
    monkeypatch.setattr(readers, "PROGRAM", answering(answer))
    before = workers()

    assert refusal(pool, PAGE, "html", DOCUMENT_LIMITS) == reason
    assert workers() == before


@pytest.mark.parametrize("size", [None, [1], [9, 9], [-1, 1], "ab", [1e9, 1e9]])
def test_an_image_that_is_none_is_damaged(
    monkeypatch: pytest.MonkeyPatch, pool: WorkerPool, size: object
) -> None:
    answer = encode_message(Message({"resident": 0, "size": size}, b"abc"))
    monkeypatch.setattr(readers, "PROGRAM", answering(answer))
    monkeypatch.setattr(images, "WORKERS", pool)

    with pytest.raises(ChatRefused, match=r"^An image is damaged\.$"):
        images.open_image(to_url(png()))


def test_a_text_that_is_none_is_a_broken_document(
    monkeypatch: pytest.MonkeyPatch, pool: WorkerPool
) -> None:
    answer = encode_message(Message({"resident": 0}, b"\xff"))
    monkeypatch.setattr(readers, "PROGRAM", answering(answer))
    monkeypatch.setattr(documents, "WORKERS", pool)
    document = {"name": "notes", "format": "html", "source": {"bytes": ""}}

    with pytest.raises(ValidationException, match="notes could not be read"):
        documents.read_document(document)


def test_closing_the_pool_ends_what_is_read() -> None:
    pool, before = WorkerPool(), workers()
    caught: list[str] = []
    thread = threading.Thread(
        target=lambda: caught.append(refusal(pool, wide_cell(), "docx", DOCUMENT_LIMITS))
    )
    thread.start()
    deadline = time.monotonic() + WAIT_SECONDS
    while workers() == before and time.monotonic() < deadline:
        time.sleep(0.01)
    pool.close()
    thread.join(WAIT_SECONDS)

    assert caught == ["broken"]
    assert workers() == before


def test_a_worker_writes_no_files_and_is_polite(pool: WorkerPool) -> None:
    before = workers()
    read(pool)
    [pid] = workers() - before
    worker = psutil.Process(pid)

    assert worker.rlimit(psutil.RLIMIT_FSIZE) == (0, 0)
    assert worker.rlimit(psutil.RLIMIT_CORE) == (0, 0)
    assert worker.rlimit(psutil.RLIMIT_NOFILE) == (64, 64)
    assert worker.nice() > psutil.Process().nice()
