"""Recordings on disk: in order, complete or absent, and written by one recorder at a time."""

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis.strategies import integers

from invoke_api.append_file import append_whole
from invoke_api.cassettes.lock import LockHeld, RecordingLock
from invoke_api.cassettes.reader import load_recordings
from invoke_api.cassettes.writer import CassetteWriter, to_text
from tests.cassettes.test_reader import a_recording, a_stream
from tests.support.full_disks import fill, no_file_beyond, small_disk

HOLD = """
import sys
from pathlib import Path
from invoke_api.cassettes.writer import CassetteWriter
writer = CassetteWriter(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_the_ten_thousandth_recording_comes_behind_those_before_it(tmp_path: Path) -> None:
    numbers = (9_998, 9_999, 10_000, 10_001, 100_000)
    for number in reversed(numbers):
        text = to_text(a_recording(b'{"prompt":"%d"}' % number).to_document())
        (tmp_path / f"{number:04}-invoke.json").write_text(text)
    (tmp_path / "by-hand.json").write_text(to_text(a_recording(b"last").to_document()))

    found = [recording.request_body for _, recording in load_recordings(tmp_path)]
    assert found == [*(b'{"prompt":"%d"}' % number for number in numbers), b"last"]
    assert CassetteWriter(tmp_path).write(a_recording()).name.startswith("100001-")


def test_folders_are_in_order_of_their_numbers_too(tmp_path: Path) -> None:
    for number in (10, 9):
        folder = tmp_path / f"{number}-run"
        CassetteWriter(folder).write(a_recording(b"%d" % number))

    assert [each.request_body for _, each in load_recordings(tmp_path)] == [b"9", b"10"]


def test_a_name_that_is_taken_meanwhile_is_left_alone(tmp_path: Path) -> None:
    writer = CassetteWriter(tmp_path)
    first = writer.write(a_recording())
    taken = first.with_name(first.name.replace("0001", "0002"))
    taken.write_text("mine")
    written = writer.write(a_recording())

    assert taken.read_text() == "mine"
    assert written.name.startswith("0003-")


WHOLE = to_text(a_stream().to_document()).encode()


@given(limit=integers(min_value=len(WHOLE), max_value=2 * len(WHOLE) - 1))
def test_a_disk_that_gets_full_leaves_whole_recordings(
    tmp_path_factory: pytest.TempPathFactory, limit: int
) -> None:
    path = tmp_path_factory.mktemp("full") / "calls.json"
    writer = CassetteWriter(path)
    writer.write(a_stream())
    with no_file_beyond(limit), pytest.raises(OSError, match="File too large"):
        writer.write(a_stream())
    assert path.read_bytes() == WHOLE
    writer.write(a_stream())  # there is room again

    assert [recording for _, recording in load_recordings(path)] == [a_stream()] * 2


@pytest.mark.parametrize("name", ["", "calls.json"])
def test_a_real_disk_that_is_full_leaves_whole_recordings(tmp_path: Path, name: str) -> None:
    long = a_recording(b"x" * 20_000)
    with small_disk(tmp_path / "disk", 262_144) as disk:
        writer = CassetteWriter(disk / name)
        writer.write(long)
        filling = fill(disk, leave=8_192)
        for _ in range(3):
            with pytest.raises(OSError, match="No space left on device"):
                writer.write(long)
        found = load_recordings(disk / name)
        left = sorted(path.name for path in disk.glob("*.part"))
        filling.unlink()
        writer.write(long)
        later = load_recordings(disk / name)
        del writer

    assert [recording for _, recording in found] == [long]
    assert left == []
    assert [recording for _, recording in later] == [long, long]


def test_lines_of_processes_that_append_at_once_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    code = """
import sys
from pathlib import Path
from invoke_api.append_file import append_whole
for _ in range(200):
    append_whole(Path(sys.argv[1]), sys.argv[2].encode() * 9_000 + b"\\n")
"""
    run = [sys.executable, "-c", code, str(path)]
    started = [subprocess.Popen([*run, letter]) for letter in "abc"]
    ended = [process.wait(60) for process in started]
    lines = path.read_bytes().splitlines()

    assert ended == [0, 0, 0]
    assert {(len(line), len(set(line))) for line in lines} == {(9_000, 1)}
    assert len(lines) == 600


@pytest.mark.parametrize("size", [1, 5, 300, len(WHOLE) - 2])
def test_half_a_recording_that_a_killed_recorder_left_is_cut_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, size: int
) -> None:
    path = tmp_path / "calls.json"
    path.write_bytes(WHOLE + WHOLE[:size])
    writer = CassetteWriter(path)
    writer.write(a_recording())

    assert [recording for _, recording in load_recordings(path)] == [a_stream(), a_recording()]
    assert f"an incomplete recording; removed its {size} bytes" in caplog.text


COMPACT = json.dumps(a_stream().to_document()).encode()


@pytest.mark.parametrize(
    "text", [b"", WHOLE, WHOLE.rstrip(), COMPACT, COMPACT + b"\n" + WHOLE, b"[]"]
)
def test_a_file_written_by_hand_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: bytes
) -> None:
    path = tmp_path / "calls.json"
    path.write_bytes(text)
    CassetteWriter(path).write(a_recording())

    assert path.read_bytes().startswith(text)
    assert caplog.records == []


@pytest.mark.parametrize("name", ["folder", "calls.json"])
def test_a_second_recorder_is_refused_and_told_of_the_first(tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    command = [sys.executable, "-c", HOLD, str(place)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout
        assert first.stdout.readline() == b"held\n"
        with pytest.raises(LockHeld) as caught:
            CassetteWriter(place)
        first.kill()
        first.wait(30)
    CassetteWriter(place).write(a_recording())  # it is free again

    assert caught.value.strerror == f"process {first.pid} is recording there"
    assert len(load_recordings(place)) == 1


def test_a_recorder_that_ends_removes_its_lock(tmp_path: Path) -> None:
    for name in ("folder", "calls.json"):
        writer = CassetteWriter(tmp_path / name)
        with pytest.raises(LockHeld, match=f"process {os.getpid()} is recording"):
            CassetteWriter(tmp_path / name)
        del writer

    assert [path.name for path in tmp_path.rglob("*")] == ["folder"]


def test_of_many_processes_one_at_a_time_holds_the_lock(tmp_path: Path) -> None:
    """Cover also a lock that is taken just as another process removes its file."""
    code = """
import sys, time
from pathlib import Path
from invoke_api.cassettes.lock import RecordingLock, LockHeld
lock, log = Path(sys.argv[1]), Path(sys.argv[2])
for _ in range(500):
    try:
        held = RecordingLock(lock)
    except LockHeld:
        continue
    began = time.monotonic_ns()
    ended = time.monotonic_ns()
    held.release()
    with log.open("a") as file:
        file.write(f"{began} {ended}\\n")
"""
    log = tmp_path / "log"
    run = [sys.executable, "-c", code, str(tmp_path / "lock"), str(log)]
    started = [subprocess.Popen(run) for _ in range(3)]
    ended = [process.wait(60) for process in started]
    times = sorted(tuple(map(int, line.split())) for line in log.read_text().splitlines())

    assert ended == [0, 0, 0]
    assert len(times) > 100
    assert all(before[1] <= after[0] for before, after in pairwise(times))


def test_a_place_that_can_not_be_locked_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        RecordingLock(tmp_path / "none" / "lock")


def test_a_file_that_is_emptied_meanwhile_is_not_made_longer(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    append_whole(path, b"one\n")
    os.truncate(path, 0)
    with no_file_beyond(2), pytest.raises(OSError, match="File too large"):
        append_whole(path, b"two\n")

    assert path.read_bytes() == b""
