"""The benchmarks' own inputs: what they measure must be good requests."""

import pytest

from bench import prefix, serving, swap
from bench.checks import checks
from bench.streams.batch import Drive, Sample
from bench.streams.figures import Turn, to_figures, to_row
from bench.streams.plan import to_plan

CHECKS = dict(checks())


@pytest.mark.parametrize("name", CHECKS)
def test_what_is_measured_passes_its_check(name: str) -> None:
    assert CHECKS[name]() is not None


def test_the_document_has_the_table_of_the_last_run() -> None:
    document = serving.DOCUMENT.read_text()

    assert serving.with_table(document) == document
    assert document.count("| Invoke API, stream |") >= 3


def test_the_document_has_what_the_prefix_cache_saved_in_the_last_run() -> None:
    document = prefix.DOCUMENT.read_text()

    assert prefix.with_table(document) == document


def test_the_document_has_the_swap_time_of_the_last_run() -> None:
    document = swap.DOCUMENT.read_text()

    assert swap.with_sentence(document) == document


def test_what_is_not_measured_is_said_with_the_reason() -> None:
    plan = to_plan([1, 8], [100, 2_000], 28, context=2_000, most_read=500)

    assert plan.pairs == [(100, 1)]
    assert [(each["words"], each["users"]) for each in plan.left_out] == [
        (100, 8),
        (2_000, 1),
        (2_000, 8),
    ]
    assert "500 tokens" in str(plan.left_out[0]["why"])
    assert "2000 tokens" in str(plan.left_out[1]["why"])


def test_failures_are_counted_and_not_averaged_in() -> None:
    good = Sample([0.1, 0.3, 0.4], 0.4, 8, 3, None)
    late = Sample([5.0], 60.0, 8, 1, "timed out")
    turn = Turn(Drive([good, good, late], 2.0, 0.5), 0.006, 10, 20)
    figures = to_figures(turn)

    assert figures.tokens_per_second == 3.0
    assert figures.first_p50 == 0.1
    assert figures.between_p99 == pytest.approx(0.2)
    assert figures.generator_share == 0.25
    assert figures.cpu_per_token is None
    assert to_row([turn], [turn])["failed"] == {"timed out": 1}


def test_a_ratio_is_of_the_same_round() -> None:
    def turn(seconds: float) -> Turn:
        return Turn(Drive([Sample([0.1], 0.1, 8, 10, None)], seconds, 0.0), 0.001, 0, 0)

    row = to_row([turn(1.0), turn(2.0), turn(4.0)], [turn(2.0), turn(4.0), turn(4.0)])

    assert row["speed_ratio"] == 2.0
