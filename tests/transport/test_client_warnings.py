"""Log lines about clients are counted, not repeated."""

import pytest

from invoke_api.transport.client_warnings import QUIET_SECONDS, Complaints

LEFT_OUT = " 9 more connections since the last such line"


def test_a_line_for_each_kind_and_later_the_count_of_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    complaints = Complaints()
    for second in range(10):
        complaints.add("too many PING frames", "10.0.0.1", now=float(second))
    complaints.add("too many SETTINGS frames", "10.0.0.1", now=10.0)
    complaints.add("too many PING frames", "10.0.0.2", now=QUIET_SECONDS)
    complaints.add("too many PING frames", "10.0.0.2", now=2 * QUIET_SECONDS)

    assert caplog.messages == [
        "Closed the HTTP/2 connection of 10.0.0.1: too many PING frames",
        "Closed the HTTP/2 connection of 10.0.0.1: too many SETTINGS frames",
        "Closed the HTTP/2 connection of 10.0.0.2: too many PING frames;" + LEFT_OUT,
        "Closed the HTTP/2 connection of 10.0.0.2: too many PING frames",
    ]
