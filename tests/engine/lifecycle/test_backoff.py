"""Back-off between restarts, at fixed times and without engines."""

from engine.lifecycle.backoff import Backoff, Restarts

BACKOFF = Backoff(first=1.0, longest=10.0, steady=60.0, tries=3)


def test_each_pause_is_twice_as_long_up_to_the_longest() -> None:
    restarts = Restarts(BACKOFF)
    restarts.note_ready(0.0)

    assert [restarts.note_failure(1.0) for _ in range(7)] == [1, 2, 4, 8, 10, 10, 10]


def test_who_was_ready_for_long_begins_anew_and_who_was_not_does_not() -> None:
    restarts = Restarts(BACKOFF)
    restarts.note_ready(0.0)
    pauses = [restarts.note_failure(1.0), restarts.note_failure(2.0)]
    restarts.note_ready(100.0)
    pauses.append(restarts.note_failure(159.0))
    restarts.note_ready(200.0)
    pauses.append(restarts.note_failure(260.0))

    assert pauses == [1, 2, 4, 1]


def test_who_was_never_ready_is_given_up_in_the_end() -> None:
    restarts = Restarts(BACKOFF)

    assert [restarts.note_failure(1.0) for _ in range(3)] == [1, 2, None]


def test_as_they_come_first_loads_are_tried_for_two_minutes() -> None:
    restarts = Restarts(Backoff())
    pauses = [restarts.note_failure(0.0) for _ in range(Backoff().tries)]

    assert pauses == [1, 2, 4, 8, 16, 32, 60, None]
