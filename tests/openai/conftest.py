"""A service that asks for signatures and API keys."""

from collections.abc import Iterator

import pytest

from tests.support.servers import COMMAND, command_running, wait_until_ready


@pytest.fixture(scope="module")
def signed_service() -> Iterator[str]:
    """Yield the URL of a scripted service that knows the key of AWS's examples."""
    env = {
        "INVOKE_API_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "INVOKE_API_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    }
    with command_running([*COMMAND, "--engine", "scripted", "--auth", "any"], env) as url:
        wait_until_ready(url, seconds=30)
        yield url
