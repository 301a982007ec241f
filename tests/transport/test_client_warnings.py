"""Log lines about clients are counted, not repeated."""

import pytest

from invoke_api.transport.client_warnings import MIN_SECONDS_BETWEEN_LINES, ClientWarnings


def test_a_line_for_each_kind_and_later_the_count_of_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    warnings = ClientWarnings()
    for second in range(10):
        warnings.add("PING", f"too many PING frames of {second}", now=float(second))
    warnings.add("SETTINGS", "too many SETTINGS frames", now=10.0)
    warnings.add("PING", "too many PING frames", now=MIN_SECONDS_BETWEEN_LINES)
    warnings.add("PING", "too many PING frames", now=2 * MIN_SECONDS_BETWEEN_LINES)

    assert caplog.messages == [
        "too many PING frames of 0",
        "too many SETTINGS frames",
        "too many PING frames; 9 more since the last such line",
        "too many PING frames",
    ]
