"""The log: repeated lines are counted, different lines appear at once, in both formats."""

import io
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_api.observability.log_format import FORMATTERS
from invoke_api.observability.log_repeats import (
    INTERVAL_SECONDS,
    MAX_KINDS,
    MAX_LINES_PER_KIND,
    RepeatFilter,
)
from tests.support.waiting import until


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Log:
    """A logger with its output and the clock of its intervals."""

    def __init__(self, log_format: str = "text", interval: float = INTERVAL_SECONDS) -> None:
        self.clock = Clock()
        self.written = io.StringIO()
        target = logging.StreamHandler(self.written)
        target.setFormatter(FORMATTERS[log_format])
        self.handler = RepeatFilter(target, interval=interval, clock=self.clock)
        self.logger = logging.Logger("test")  # noqa: LOG001 - one that nobody else gets
        self.logger.addHandler(self.handler)

    def lines(self) -> list[str]:
        """Return the lines without their times."""
        return [line.partition(" ")[2] for line in self.written.getvalue().splitlines()]

    def pass_time(self, seconds: float = INTERVAL_SECONDS) -> None:
        self.clock.now += seconds
        self.handler.report()


@pytest.fixture
def log() -> Iterator[Log]:
    made = Log()
    yield made
    made.handler.close()


def raised(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as caught:
        return caught


def raised_elsewhere(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as caught:
        return caught


def test_a_line_that_repeats_is_counted(log: Log) -> None:
    for _ in range(43_689):
        log.logger.error("out of files")

    assert log.lines() == ["ERROR   out of files"]
    log.pass_time()
    assert log.lines()[1:] == ["ERROR   out of files … 43,688 times more in 10 s"]


def test_tracebacks_that_repeat_are_counted(log: Log) -> None:
    for number in range(43_689):
        log.logger.error("request %s failed", number, exc_info=raised(OSError(24, "files")))
    log.pass_time()
    text = log.written.getvalue()

    assert text.count("Traceback") == 1
    assert "request 0 failed" in text
    assert text.endswith("request 43688 failed … 43,688 times more in 10 s\n")
    assert len(text) < 1_000


def test_as_long_as_it_repeats_there_is_a_line_an_interval(log: Log) -> None:
    for _ in range(5):
        for _ in range(1_000):
            log.logger.warning("slow")
        log.pass_time()

    assert len(log.lines()) == 1 + 5
    assert log.lines()[-1] == "WARNING slow … 1,000 times more in 10 s"


def test_one_that_has_not_repeated_for_an_interval_comes_at_once_again(log: Log) -> None:
    log.logger.warning("slow")
    log.pass_time()
    log.logger.warning("slow")

    assert log.lines() == ["WARNING slow", "WARNING slow"]


def test_errors_of_other_kinds_and_of_other_places_are_not_the_same(log: Log) -> None:
    errors = [raised(KeyError()), raised(ValueError()), raised_elsewhere(KeyError())]
    for _ in range(3):
        for error in errors:
            log.logger.error("failed", exc_info=error)
        log.logger.error("failed")

    assert log.written.getvalue().count("Traceback") == 3
    assert [line for line in log.lines() if line.startswith("ERROR")] == ["ERROR   failed"] * 4


def test_a_kind_with_many_different_lines_is_cut_at_so_many(log: Log) -> None:
    for _ in range(2):
        for number in range(100):
            log.logger.info("%s is there", number)
        log.pass_time()

    counted = ["99 is there … 90 times more in 10 s"]
    first = [f"{number} is there" for number in range(MAX_LINES_PER_KIND)]
    later = [f"{number} is there" for number in range(MAX_LINES_PER_KIND, 2 * MAX_LINES_PER_KIND)]
    assert log.lines() == [f"INFO    {line}" for line in [*first, *counted, *later, *counted]]


def test_messages_that_are_written_out_are_alike_but_for_their_numbers(log: Log) -> None:
    for number in range(1_000):
        log.logger.error(f"Task exception was never retrieved <Task-{number} at 0x7f{number:x}>")  # noqa: G004 - as asyncio does

    assert len(log.lines()) == MAX_LINES_PER_KIND


def test_in_json_the_number_has_a_field_of_its_own() -> None:
    log = Log("json")
    for _ in range(3):
        log.logger.error("no %s", "room", exc_info=raised(OSError(28, "full")))
    log.handler.close()
    first, count = map(json.loads, log.written.getvalue().splitlines())

    assert (first["message"], "Traceback" in first["exception"]) == ("no room", True)
    assert count["message"].startswith("no room … 2 times more in ")
    assert (count["repeated"], count["level"], count["logger"]) == (2, "error", "test")


def test_half_a_surrogate_pair_is_written_in_json() -> None:
    log = Log("json")
    log.logger.error("no file %s", "\udcff")

    assert json.loads(log.written.getvalue())["message"] == "no file \udcff"


def test_arguments_that_do_not_fit_are_told_of_as_ever(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    log.logger.error("%d", "x")

    assert "--- Logging error ---" in capsys.readouterr().err


def test_the_count_is_told_when_its_time_has_come() -> None:
    log = Log(interval=0.05)
    log.logger.error("again")
    log.logger.error("again")
    log.clock.now += 0.05

    until(lambda: "again … 1 time more" in log.written.getvalue())
    log.handler.close()


def test_the_count_is_told_at_the_end_of_the_process() -> None:
    code = """
import logging
from invoke_api.observability.log_format import set_up_logs
set_up_logs("text")
for _ in range(8):
    logging.getLogger("invoke_api.x").info("here")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    first, count = done.stderr.splitlines()

    assert first.endswith("INFO    here")
    assert "INFO    here … 7 times more in 0." in count


def test_what_is_logged_after_that_is_passed_on_and_starts_no_thread(log: Log) -> None:
    # Python logs a lost exception while it shuts down, when no thread can be started.
    log.logger.error("again")
    log.handler.close()
    before = threading.active_count()
    for _ in range(2):
        log.logger.error("again")

    assert log.lines() == ["ERROR   again"] * 3
    assert threading.active_count() == before


def test_the_table_is_bounded_and_tells_of_what_it_forgets(log: Log) -> None:
    for _ in range(2):
        log.logger.error("the first")
    for number in range(3 * MAX_KINDS):
        kind = "x" * number
        log.logger.error(kind)

    assert log.handler.kinds() == MAX_KINDS
    assert any(line.startswith("ERROR   the first … 1 time more") for line in log.lines())
    assert len(log.lines()) == 3 * MAX_KINDS + 2


def test_threads_that_log_at_once_lose_nothing(log: Log) -> None:
    def flood() -> None:
        for _ in range(2_000):
            log.logger.error("at once")

    threads = [threading.Thread(target=flood) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.pass_time()

    assert log.lines()[1:] == ["ERROR   at once … 7,999 times more in 10 s"]


LINES = st.tuples(
    st.sampled_from([logging.INFO, logging.ERROR]),
    st.sampled_from(["a %s", "b %s", "c %s"]),
    st.integers(0, 3),
)
STEPS = st.lists(LINES | st.sampled_from([1.0, 9.0, 10.0, 30.0]), max_size=60)


@given(steps=STEPS)
def test_every_line_is_written_or_counted_and_the_first_of_each_comes_at_once(
    steps: list[tuple[int, str, int] | float],
) -> None:
    log = Log("json")
    seen: set[tuple[int, str, int]] = set()
    logged = 0
    for step in steps:
        if isinstance(step, float):
            log.pass_time(step)
            continue
        level, message, argument = step
        before = len(log.written.getvalue())
        log.logger.log(level, message, argument)
        logged += 1
        if step not in seen:
            assert json.dumps(message % argument) in log.written.getvalue()[before:]
        seen.add(step)
    log.handler.close()
    written = [json.loads(line) for line in log.written.getvalue().splitlines()]

    assert sum(line.get("repeated", 1) for line in written) == logged
