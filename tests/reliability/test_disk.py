"""A full disk, and killed recorders: no line is torn, no recording is incomplete."""

import asyncio
import json
from functools import partial
from pathlib import Path
from resource import RLIMIT_FSIZE

import pytest

from invoke_api.cassettes.reader import load_recordings
from tests.reliability.answers import ANSWERED
from tests.reliability.calls import ask, ask_once, side_by_side
from tests.reliability.evidence import Evidence
from tests.reliability.mix import INVOKE, STREAM
from tests.reliability.service import SCRIPTED, Service, seconds_until, service_running
from tests.reliability.trials import LOGGED, RECORDERS_KILLED

MAX_FILE_BYTES = 65_536  # of any file of the service
MAX_LOG_BYTES = 16_384  # bytes


def test_calls_are_answered_whatever_the_disk_of_the_invocation_log_takes(
    tmp_path: Path, evidence: Evidence
) -> None:
    # Without the line of each call, the log has only a few.
    flags = ["--invocation-log", str(tmp_path), "--no-access-log"]
    with service_running(*SCRIPTED, *flags, limits={RLIMIT_FSIZE: MAX_FILE_BYTES}) as service:
        works = [
            partial(ask_once, service.url, ask((INVOKE, STREAM)[number % 2], "Hi " * 50))
            for number in range(LOGGED)
        ]
        answers = asyncio.run(side_by_side(works, most=20))
        service.end()
        log = service.text()
    written = (tmp_path / "modelinvocations.jsonl").read_bytes()
    lost = [answer for answer in answers if answer.outcome != ANSWERED]

    assert len(written) > MAX_FILE_BYTES / 2
    assert all(json.loads(line) for line in written.splitlines())
    assert "invocation log" in log
    assert len(log) < MAX_LOG_BYTES
    evidence.record("full-disk", LOGGED, len(lost))


KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIDTRIAL",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def record_and_kill(upstream: Service, to: Path) -> None:
    """Kill the recorder while it writes."""
    flags = ["--to", str(to), "--upstream", upstream.url]
    before = size(to)
    with service_running(*flags, command="record", env=KEYS) as recorder:
        works = [partial(ask_once, recorder.url, ask(STREAM, tokens=400))] * 200
        asking = partial(side_by_side, works, 8)

        async def ask_and_kill() -> None:
            calls = asyncio.create_task(asking())
            waiting = partial(seconds_until, lambda: size(to) > before + 100_000, most=30)
            await asyncio.to_thread(waiting)
            recorder.process.kill()
            await calls

        asyncio.run(ask_and_kill())


def size(to: Path) -> int:
    files = to.glob("*.json") if to.is_dir() else [to] if to.exists() else []
    return sum(file.stat().st_size for file in files)


@pytest.mark.parametrize("name", ["tape", "tape.json"])
def test_what_a_killed_recorder_has_written_can_be_read(
    name: str, tmp_path: Path, evidence: Evidence
) -> None:
    with service_running(*SCRIPTED) as upstream:
        for _ in range(RECORDERS_KILLED):
            record_and_kill(upstream, tmp_path / name)
    found = load_recordings(tmp_path / name)  # raises for an invalid recording

    assert all(recording.complete for _, recording in found)
    evidence.record(f"recorders-{name}", RECORDERS_KILLED, 0)
