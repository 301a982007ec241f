"""Fixtures of the trials."""

import pytest

from invoke_api.server.http_server import allow_many_connections
from tests.reliability.evidence import Evidence
from tests.reliability.patience import Patience


@pytest.fixture(scope="session")
def evidence() -> Evidence:
    """Also lets this process have as many connections as a trial opens."""
    allow_many_connections()
    return Evidence()


@pytest.fixture(scope="session", autouse=True)
def patience(request: pytest.FixtureRequest) -> Patience | None:
    """Begin with the slow clients first of all, if they are asked about: they take minutes."""
    if not any(item.path.name == "test_waiting.py" for item in request.session.items):
        return None
    allow_many_connections()
    patience = Patience()
    patience.start()
    return patience
