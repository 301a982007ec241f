"""A service at its limit of open files: it waits, logs it once, and answers again."""

import asyncio
from resource import RLIMIT_NOFILE

from tests.reliability.calls import answers_still, ask
from tests.reliability.evidence import Evidence
from tests.reliability.http1 import Http1
from tests.reliability.mix import INVOKE
from tests.reliability.service import SCRIPTED, service_running
from tests.reliability.trials import CONNECTIONS, MAX_OPEN_FILES

HELD_SECONDS = 4.0  # at the limit
MAX_LOG_BYTES = 32 * 1024


async def use_up(url: str) -> list[str]:
    """Open more connections than files are allowed, and call on earlier ones."""
    loop = asyncio.get_running_loop()
    early = [Http1(url) for _ in range(10)]
    for connection in early:
        await connection.ask(ask(INVOKE))
    crowd = [Http1(url, f"127.0.2.{number % 20 + 1}") for number in range(CONNECTIONS)]
    await asyncio.gather(*(connection.open() for connection in crowd), return_exceptions=True)
    outcomes = []
    until = loop.time() + HELD_SECONDS
    while loop.time() < until:
        outcomes += [(await connection.ask(ask(INVOKE))).outcome for connection in early]
        await asyncio.sleep(0.1)
    for connection in [*early, *crowd]:
        connection.leave()
    return outcomes


def test_out_of_files_open_connections_are_served_and_new_ones_afterwards(
    evidence: Evidence,
) -> None:
    # Without the line of each call, the log has only a few.
    flags = [*SCRIPTED, "--no-access-log"]
    with service_running(*flags, limits={RLIMIT_NOFILE: MAX_OPEN_FILES}) as service:
        outcomes = asyncio.run(use_up(service.url))
        unanswered = answers_still(service.url)
        log = service.text()

    assert outcomes
    assert set(outcomes) == {"answered"}
    assert len(log) < MAX_LOG_BYTES
    evidence.record("files", CONNECTIONS, unanswered)
