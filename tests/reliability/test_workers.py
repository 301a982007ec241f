"""Workers killed under load: the others keep serving, and each is replaced."""

import asyncio
import os
import signal
from collections import Counter

import psutil

from tests.reliability.answers import ANSWERED, CUT
from tests.reliability.calls import answers_still, ask
from tests.reliability.evidence import Evidence
from tests.reliability.http1 import Http1
from tests.reliability.mix import INVOKE
from tests.reliability.service import SCRIPTED, Service, seconds_until, service_running
from tests.reliability.trials import WORKERS_KILLED
from tests.support.servers import sockets_of


async def ask_until(url: str, done: asyncio.Event, seen: Counter[str]) -> None:
    """Call on a new connection each time, so that the kernel spreads calls over the workers."""
    connection = Http1(url)
    while not done.is_set():
        answer = await connection.ask(ask(INVOKE))
        seen[answer.outcome] += 1
        connection.leave()
        await asyncio.sleep(0.02)


def listening(service: Service) -> set[int]:
    pids = sockets_of(service.url, psutil.CONN_LISTEN)
    return {pid for pid in pids if pid is not None and pid != service.process.pid}


def kill_one(service: Service) -> None:
    before = listening(service)
    killed = min(before)
    os.kill(killed, signal.SIGKILL)
    seconds_until(lambda: len(listening(service) - {killed}) == len(before), most=60)


async def kill_under_load(service: Service) -> Counter[str]:
    done, seen = asyncio.Event(), Counter[str]()
    asking = [asyncio.create_task(ask_until(service.url, done, seen)) for _ in range(8)]
    try:
        for _ in range(WORKERS_KILLED):
            await asyncio.to_thread(kill_one, service)
            await asyncio.sleep(0.5)  # between two kills
    finally:
        done.set()
        await asyncio.gather(*asking)
    return seen


def test_a_worker_that_is_killed_is_replaced(evidence: Evidence) -> None:
    with service_running(*SCRIPTED, "--workers", "2") as service:
        seen = asyncio.run(kill_under_load(service))
        lost = answers_still(service.url)

    assert seen[ANSWERED]
    assert set(seen) <= {ANSWERED, CUT, "ModelNotReadyException"}
    evidence.record("workers", WORKERS_KILLED, lost)
