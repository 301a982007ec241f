"""Fixtures of the trials."""

import pytest

from invoke_api.server.http_server import allow_many_connections
from tests.reliability.evidence import Evidence
from tests.reliability.patience import SlowClients


@pytest.fixture(scope="session")
def evidence() -> Evidence:
    """Return the evidence, and raise this process's limit of open files."""
    allow_many_connections()
    return Evidence()


@pytest.fixture(scope="session", autouse=True)
def patience(request: pytest.FixtureRequest) -> SlowClients | None:
    """Start the slow clients before all trials if their tests run, because they take minutes."""
    if not any(item.path.name == "test_waiting.py" for item in request.session.items):
        return None
    allow_many_connections()
    patience = SlowClients()
    patience.start()
    return patience
