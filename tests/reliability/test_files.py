"""A service that may open no more files: it waits, says so once, and answers again."""

import asyncio
from resource import RLIMIT_NOFILE

from tests.reliability.calls import answers_still, ask
from tests.reliability.evidence import Evidence
from tests.reliability.http1 import Http1
from tests.reliability.mix import INVOKE
from tests.reliability.service import SCRIPTED, service_running
from tests.reliability.trials import FILES, TOO_MANY

HELD = 4.0  # seconds without a file left
LONGEST_LOG = 32 * 1024  # bytes


async def use_up(url: str) -> list[str]:
    """Open more connections than there are files, and call on those that were there before."""
    loop = asyncio.get_running_loop()
    early = [Http1(url) for _ in range(10)]
    for connection in early:
        await connection.ask(ask(INVOKE))
    crowd = [Http1(url, f"127.0.2.{number % 20 + 1}") for number in range(TOO_MANY)]
    await asyncio.gather(*(connection.open() for connection in crowd), return_exceptions=True)
    outcomes = []
    until = loop.time() + HELD
    while loop.time() < until:
        outcomes += [(await connection.ask(ask(INVOKE))).outcome for connection in early]
        await asyncio.sleep(0.1)
    for connection in [*early, *crowd]:
        connection.leave()
    return outcomes


def test_out_of_files_open_connections_are_served_and_new_ones_afterwards(
    evidence: Evidence,
) -> None:
    with service_running(*SCRIPTED, limits={RLIMIT_NOFILE: FILES}) as service:
        outcomes = asyncio.run(use_up(service.url))
        unanswered = answers_still(service.url)
        log = service.text()

    assert outcomes
    assert set(outcomes) == {"answered"}
    assert len(log) < LONGEST_LOG
    evidence.record("files", TOO_MANY, unanswered)
