"""Worker processes for uploads: used again, replaced, killed; and refusals that say why."""

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
from engine.uploads.call import CURRENT, Call
from engine.uploads.limits import DOCUMENT, IMAGE, Limits
from engine.uploads.messages import Message, encode_message
from engine.uploads.pool import Pool
from engine.uploads.refusals import UploadRefused
from invoke_api.dialects import documents
from invoke_api.wire.errors import ValidationException
from tests.engine.uploads.bombs import merged_sheet, wide_cell
from tests.engine.uploads.image_bombs import many_scans
from tests.support.images import png, to_url

PAGE = b"<p>north</p>"
PATIENCE = 20.0  # seconds
ROOM = {"whole": 10**9, "most": 10**9, "side": None}


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool()
    yield made
    made.close()


@pytest.fixture
def call() -> Iterator[Call]:
    made = Call()
    token = CURRENT.set(made)
    yield made
    CURRENT.reset(token)


def workers() -> set[int]:
    """The workers that this process has now."""
    return {child.pid for child in psutil.Process().children() if is_worker(child)}


def is_worker(process: psutil.Process) -> bool:
    try:
        return "engine.uploads.worker" in " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False


def read(pool: Pool, raw: bytes = PAGE, kind: str = "html", limits: Limits = DOCUMENT) -> str:
    return pool.read(kind, raw, limits).payload.decode()


def refusal(pool: Pool, raw: bytes, kind: str, limits: Limits, **options: Any) -> str:
    with pytest.raises(UploadRefused) as caught:
        pool.read(kind, raw, limits, **options)
    return caught.value.reason


def test_a_worker_is_used_again_and_none_is_started_before_it_is_needed() -> None:
    before = workers()
    pool = Pool()
    assert workers() == before
    assert read(pool) == "north"
    first = workers() - before
    assert read(pool) == "north"
    assert workers() - before == first
    pool.close()

    assert len(first) == 1
    assert workers() == before


def test_a_worker_that_has_died_is_replaced(pool: Pool) -> None:
    before = workers()
    read(pool)
    [first] = workers() - before
    os.kill(first, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(first)], timeout=PATIENCE)

    assert read(pool) == "north"
    assert workers() - before != {first}


@pytest.mark.parametrize("limit", ["MOST_UPLOADS", "MOST_RESIDENT"])
def test_a_worker_is_replaced_in_time(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(pools, limit, 1)
    before, pool = workers(), Pool()
    read(pool)

    assert workers() == before


def test_each_limit_is_told_apart(pool: Pool) -> None:
    cell = replace(DOCUMENT, cpu_seconds=0)
    sheet = replace(DOCUMENT, memory=50_000_000)

    assert refusal(pool, wide_cell(), "docx", cell) == "cpu"
    assert refusal(pool, wide_cell(), "docx", replace(DOCUMENT, seconds=0.3)) == "time"
    assert refusal(pool, merged_sheet(), "xlsx", sheet) == "memory"
    assert refusal(pool, PAGE, "html", replace(DOCUMENT, output=3)) == "output"
    assert refusal(pool, b"no pdf", "pdf", DOCUMENT) == "broken"
    assert refusal(pool, b"no image", "image", IMAGE, **ROOM) == "unknown"
    assert refusal(pool, png(size=(9, 9)), "image", IMAGE, **{**ROOM, "most": 80}) == "many"
    assert refusal(pool, png(size=(8_001, 1)), "image", IMAGE, **ROOM) == "pixels"
    assert refusal(pool, many_scans(), "image", replace(IMAGE, cpu_seconds=0), **ROOM) == "cpu"


def test_a_format_whose_library_is_missing_says_so(
    monkeypatch: pytest.MonkeyPatch, pool: Pool
) -> None:
    program = readers.PROGRAM.replace("from engine", "sys.modules['docx'] = None; from engine", 1)
    monkeypatch.setattr(readers, "PROGRAM", program)

    assert refusal(pool, wide_cell(), "docx", DOCUMENT) == "missing"


def test_a_call_that_is_cancelled_ends_its_reader(pool: Pool, call: Call) -> None:
    before = workers()
    killer = threading.Thread(target=_cancel_once_it_reads, args=[call, before])
    killer.start()

    assert refusal(pool, wide_cell(), "docx", DOCUMENT) == "cancelled"
    killer.join()
    assert workers() == before
    assert refusal(pool, PAGE, "html", DOCUMENT) == "cancelled"


def _cancel_once_it_reads(call: Call, before: set[int]) -> None:
    deadline = time.monotonic() + PATIENCE
    while workers() == before and time.monotonic() < deadline:
        time.sleep(0.01)
    call.cancel()


def test_the_uploads_of_a_call_share_its_time(pool: Pool) -> None:
    token = CURRENT.set(Call(seconds=0.5))
    try:
        assert refusal(pool, wide_cell(), "docx", DOCUMENT) == "time"
        assert refusal(pool, PAGE, "html", DOCUMENT) == "time"
    finally:
        CURRENT.reset(token)


def test_no_worker_can_be_started(monkeypatch: pytest.MonkeyPatch, pool: Pool) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    files = psutil.Process().num_fds()

    assert refusal(pool, PAGE, "html", DOCUMENT) == "unavailable"
    assert psutil.Process().num_fds() == files


def answering(answer: bytes) -> str:
    """A worker that gives this answer to everything."""
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
    monkeypatch: pytest.MonkeyPatch, pool: Pool, answer: bytes, reason: str
) -> None:
    monkeypatch.setattr(readers, "PROGRAM", answering(answer))
    before = workers()

    assert refusal(pool, PAGE, "html", DOCUMENT) == reason
    assert workers() == before


@pytest.mark.parametrize("size", [None, [1], [9, 9], [-1, 1], "ab", [1e9, 1e9]])
def test_an_image_that_is_none_is_damaged(
    monkeypatch: pytest.MonkeyPatch, pool: Pool, size: object
) -> None:
    answer = encode_message(Message({"resident": 0, "size": size}, b"abc"))
    monkeypatch.setattr(readers, "PROGRAM", answering(answer))
    monkeypatch.setattr(images, "WORKERS", pool)

    with pytest.raises(ChatRefused, match=r"^An image is damaged\.$"):
        images.open_image(to_url(png()))


def test_a_text_that_is_none_is_a_broken_document(
    monkeypatch: pytest.MonkeyPatch, pool: Pool
) -> None:
    answer = encode_message(Message({"resident": 0}, b"\xff"))
    monkeypatch.setattr(readers, "PROGRAM", answering(answer))
    monkeypatch.setattr(documents, "WORKERS", pool)
    document = {"name": "notes", "format": "html", "source": {"bytes": ""}}

    with pytest.raises(ValidationException, match="notes could not be read"):
        documents.read_document(document)


def test_closing_the_pool_ends_what_is_read() -> None:
    pool, before = Pool(), workers()
    caught: list[str] = []
    thread = threading.Thread(
        target=lambda: caught.append(refusal(pool, wide_cell(), "docx", DOCUMENT))
    )
    thread.start()
    deadline = time.monotonic() + PATIENCE
    while workers() == before and time.monotonic() < deadline:
        time.sleep(0.01)
    pool.close()
    thread.join(PATIENCE)

    assert caught == ["broken"]
    assert workers() == before


def test_a_worker_writes_no_files_and_is_polite(pool: Pool) -> None:
    before = workers()
    read(pool)
    [pid] = workers() - before
    worker = psutil.Process(pid)

    assert worker.rlimit(psutil.RLIMIT_FSIZE) == (0, 0)
    assert worker.rlimit(psutil.RLIMIT_CORE) == (0, 0)
    assert worker.rlimit(psutil.RLIMIT_NOFILE) == (64, 64)
    assert worker.nice() > psutil.Process().nice()
