"""A service whose rules and journal one file of tests has for itself."""

from collections.abc import Iterator

import pytest

from tests.support.servers import COMMAND, call, command_running, wait_until_ready


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with command_running([*COMMAND, "--engine", "scripted"]) as url:
        wait_until_ready(url, seconds=30)
        yield url


@pytest.fixture
def url(service: str) -> str:
    """Return the URL of the service, without rules and calls of earlier tests."""
    call(service, "POST", "/_emulator/reset")
    return service
