"""Services in this process for the tests of this folder, each started once."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from tests.fuzzing.app import KINDS, Alarms, Service, service_running


@pytest.fixture(scope="session")
async def services(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[dict[str, Service]]:
    async with AsyncExitStack() as stack:
        running = {}
        for kind in KINDS:
            folder = tmp_path_factory.mktemp(kind)
            running[kind] = await stack.enter_async_context(service_running(kind, folder))
        yield running


@pytest.fixture
def alarms() -> Iterator[Alarms]:
    """Yield the list of logged errors and tracebacks."""
    heard = Alarms()
    logging.getLogger().addHandler(heard)
    try:
        yield heard
    finally:
        logging.getLogger().removeHandler(heard)
