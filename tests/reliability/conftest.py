"""Fixtures of the trials."""

import pytest

from invoke_api.server import allow_many_connections
from tests.reliability.evidence import Evidence


@pytest.fixture(scope="session")
def evidence() -> Evidence:
    """Also lets this process have as many connections as a trial opens."""
    allow_many_connections()
    return Evidence()
