"""Detection of hanging cores, on made-up samples."""

import pytest

from engine.protocol import EngineLimits
from engine.vllm.pulse import HangDetector, ProcessSample

LIMITS = EngineLimits(stall_seconds=10.0, first_token_seconds=60.0)
IDLE = [
    ProcessSample(5.0 + 0.012 * second) for second in range(100)
]  # as measured for a stopped core
BUSY = [ProcessSample(5.0 + second) for second in range(100)]
UNSEEN = [ProcessSample()] * 100  # on another machine


def convicted_after(sightings: list[ProcessSample], *, is_silent: bool) -> int | None:
    pulse = HangDetector(LIMITS)
    for second, sighting in enumerate(sightings, start=1):
        if pulse.judge(1.0, sighting, is_silent=is_silent):
            return second
    return None


@pytest.mark.parametrize("sightings", [IDLE, BUSY, UNSEEN])
def test_a_core_that_answers_does_not_hang(sightings: list[ProcessSample]) -> None:
    assert convicted_after(sightings, is_silent=False) is None


def test_one_that_neither_answers_nor_computes_hangs_after_the_stall() -> None:
    assert convicted_after(IDLE, is_silent=True) == 11  # the first sample only starts the count


def test_one_that_computes_gets_as_long_as_a_token_may_take() -> None:
    assert convicted_after(BUSY, is_silent=True) == 60


def test_of_one_on_another_machine_nobody_can_tell() -> None:
    assert convicted_after(UNSEEN, is_silent=True) is None


@pytest.mark.parametrize("is_silent", [False, True])
def test_a_stopped_process_convicts_whether_a_question_is_open_or_not(is_silent: bool) -> None:  # noqa: FBT001
    stopped = [ProcessSample(each.cpu_seconds, "its process 7 (worker)") for each in BUSY]

    assert convicted_after(stopped, is_silent=is_silent) == 10


def test_an_answer_in_between_begins_all_counts_anew() -> None:
    pulse = HangDetector(LIMITS)
    reasons = [
        pulse.judge(1.0, each, is_silent=number % 9 != 8) for number, each in enumerate(IDLE)
    ]

    assert reasons == [None] * len(IDLE)


def test_a_step_that_begins_late_is_not_counted_as_idle_time() -> None:
    pulse = HangDetector(LIMITS)
    calm = [pulse.judge(1.0, each, is_silent=True) for each in IDLE[:9]]
    busy = [pulse.judge(1.0, ProcessSample(100.0 + second), is_silent=True) for second in range(40)]

    assert calm + busy == [None] * 49


def test_the_reason_names_the_process_and_the_time() -> None:
    pulse = HangDetector(LIMITS)

    assert pulse.judge(12.0, ProcessSample(0.0, "its process 7 (core)"), is_silent=False) == (
        "its process 7 (core) has been stopped for 12 s"
    )
