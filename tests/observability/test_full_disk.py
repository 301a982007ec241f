"""The invocation log on a full disk: whole lines, one log line, and recovery."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from invoke_api.observability.invocation_log import InvocationLog
from tests.operations.test_invocation_log import CALL
from tests.support.full_disks import fill, no_file_beyond, small_disk
from tests.support.waiting import until_in_loop


async def add(log: InvocationLog, *ids: str) -> None:
    """Log calls with these ids, and wait until their lines are written or lost."""
    for name in ids:
        log.add(replace(CALL, request_id=name))
    await until_in_loop(lambda: log.waiting() == 0)


def ids_in(path: Path) -> list[str]:
    return [json.loads(line)["requestId"] for line in path.read_bytes().splitlines()]


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str, bool]]:
    return [
        (record.levelno, record.getMessage(), bool(record.exc_info)) for record in caplog.records
    ]


async def test_wherever_a_disk_gets_full_no_line_is_torn(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "log"
    log = InvocationLog(path)
    await add(log, "whole")
    size = path.stat().st_size
    for limit in range(size, 2 * size, 7):
        with no_file_beyond(limit):
            await add(log, *("lost " * 3).split())
        assert ids_in(path) == ["whole"]
    tries = len(range(size, 2 * size, 7))
    missing = "the call lost is missing in the invocation log, and later ones may be, too"
    await add(log, "later")
    await log.close()

    assert ids_in(path) == ["whole", "later"]
    assert told(caplog) == [
        (logging.ERROR, f"{missing}: {path}: File too large", False),
        (
            logging.WARNING,
            f"the invocation log is written again; {3 * tries} calls are missing in it",
            False,
        ),
    ]


async def test_on_a_real_disk_that_is_full_likewise(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with small_disk(tmp_path / "disk", 65_536) as disk:
        path = disk / "log"
        log = InvocationLog(path)
        await add(log, "first")
        filling = fill(disk)
        lost = [f"{number}" for number in range(100)]
        await add(log, *lost)
        full = ids_in(path)
        filling.unlink()
        await add(log, "later")
        await log.close()
        found = ids_in(path)

    written = set(full) - {"first"}
    assert full == ["first", *(name for name in lost if name in written)]
    assert len(written) < 50  # the rest of the last page
    assert found == [*full, "later"]
    assert len(caplog.records) == 2
    assert "No space left on device" in caplog.records[0].getMessage()
    assert f"{100 - len(written)} calls are missing" in caplog.records[1].getMessage()


async def test_what_is_lost_is_told_at_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = InvocationLog(tmp_path / "none" / "log")
    await add(log, "a", "b", "c")
    await log.close()

    assert caplog.records[-1].getMessage() == "3 calls are missing in the invocation log"
    assert len(caplog.records) == 2
