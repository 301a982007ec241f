"""The benchmarks' own inputs: what they measure must be good requests."""

import pytest

from bench.checks import checks

CHECKS = dict(checks())


@pytest.mark.parametrize("name", CHECKS)
def test_what_is_measured_passes_its_check(name: str) -> None:
    assert CHECKS[name]() is not None
