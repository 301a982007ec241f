"""The benchmarks' own inputs: what they measure must be good requests."""

import pytest

from bench import serving, swap
from bench.checks import checks

CHECKS = dict(checks())


@pytest.mark.parametrize("name", CHECKS)
def test_what_is_measured_passes_its_check(name: str) -> None:
    assert CHECKS[name]() is not None


def test_the_document_has_the_table_of_the_last_run() -> None:
    document = serving.DOCUMENT.read_text()

    assert serving.with_table(document) == document
    assert document.count("| Invoke API |") >= 3


def test_the_document_has_the_swap_time_of_the_last_run() -> None:
    document = swap.DOCUMENT.read_text()

    assert swap.with_sentence(document) == document
