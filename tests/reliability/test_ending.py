"""SIGTERM and SIGKILL under load: no caller mistakes a torn answer for a whole one."""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from http.client import HTTPException
from pathlib import Path
from time import monotonic

from tests.reliability.answers import ANSWERED, CUT, Answer
from tests.reliability.calls import ask, ask_once, rule, side_by_side
from tests.reliability.evidence import Evidence
from tests.reliability.http1 import Http1
from tests.reliability.mix import INVOKE, STREAM
from tests.reliability.service import SCRIPTED, Service, seconds_until, service_running
from tests.reliability.trials import KILLS, TERMINATED

SLOW = {"reply": "one two three four five six", "pace": {"tokens_per_second": 8, "jitter": 0.5}}
NEVER = {"when": {"prompt": "never"}, "reply": "never", "pace": {"first_token": 600}}
ENDED = "ServiceUnavailableException"
CALLERS = 40


def calls(url: str) -> list[Callable[[], Awaitable[Answer]]]:
    """Return calls of answers and streams; a tenth would last for minutes."""
    texts = ["Hi"] * 9 + ["never"]
    return [
        partial(ask_once, url, ask((INVOKE, STREAM)[number % 2], texts[number % 10]))
        for number in range(TERMINATED)
    ]


async def terminate(service: Service) -> list[Answer]:
    """Send SIGTERM once all calls are in flight, and return their answers."""
    asked = asyncio.create_task(side_by_side(calls(service.url), most=TERMINATED))
    waiting = partial(seconds_until, lambda: service.under_way() == TERMINATED, most=30)
    await asyncio.to_thread(waiting)
    service.process.send_signal(signal.SIGTERM)
    return await asked


def test_sigterm_under_load_answers_every_call(evidence: Evidence) -> None:
    with service_running(*SCRIPTED, "--graceful-timeout", "3") as service:
        rule(service.url, **SLOW)
        rule(service.url, **NEVER)
        answers = asyncio.run(terminate(service))
        began = monotonic()
        status = service.process.wait(timeout=30)
        took = monotonic() - began
    outcomes = Counter(answer.outcome for answer in answers)

    assert status == 0
    assert took < 15
    assert outcomes[ENDED] == TERMINATED // 10
    evidence.record("sigterm", TERMINATED, TERMINATED - outcomes[ANSWERED] - outcomes[ENDED])


async def call_on(url: str, stop: asyncio.Event, seen: Counter[str]) -> None:
    """Call repeatedly; wait a little if the connection fails."""
    connection = Http1(url)
    number = 0
    while not stop.is_set():
        number += 1
        answer = await connection.ask(ask((INVOKE, STREAM)[number % 2], tokens=8))
        seen[answer.outcome if answer.status else "unanswered"] += 1
        if answer.is_whole and answer.outcome == ANSWERED:
            assert_whole(answer)
        if not answer.is_whole:
            connection.leave()
            await asyncio.sleep(0.05)
    connection.leave()


def assert_whole(answer: Answer) -> None:
    """Check that an answer which looks complete has all of its text."""
    if "content-length" in answer.headers:
        assert json.loads(answer.body)["outputs"][0]["stop_reason"], answer.body


async def kill_under_load(port: int, flags: list[str]) -> tuple[Counter[str], int]:
    """Kill the service and start it on the same port, so often. Return the failed starts."""
    seen: Counter[str] = Counter()
    stop = asyncio.Event()
    callers = [
        asyncio.create_task(call_on(f"http://127.0.0.1:{port}", stop, seen)) for _ in range(CALLERS)
    ]
    lost = 0
    try:
        for _ in range(KILLS):
            lost += await asyncio.to_thread(start_and_kill, port, flags, seen)
    finally:
        stop.set()
        await asyncio.gather(*callers)
    return seen, lost


def start_and_kill(port: int, flags: list[str], seen: Counter[str]) -> int:
    """Return 0 if the service starts on the port and answers before it is killed."""
    with suppress(HTTPException, OSError), service_running(*flags, port=port) as service:
        before = seen[ANSWERED]
        seconds_until(lambda: seen[ANSWERED] > before + 200, most=30)
        service.process.kill()
        service.process.wait(timeout=30)
        return 0
    return 1


def test_killed_under_load_it_starts_again_at_once_and_tears_nothing_it_wrote(
    tmp_path: Path, evidence: Evidence
) -> None:
    with service_running(*SCRIPTED) as first:
        port = int(first.url.rsplit(":", 1)[1])
    flags = [*SCRIPTED, "--invocation-log", str(tmp_path)]
    seen, lost = asyncio.run(kill_under_load(port, flags))
    lines = (tmp_path / "modelinvocations.jsonl").read_text().splitlines()

    assert set(seen) <= {ANSWERED, CUT, "unanswered", "ModelNotReadyException"}
    assert seen[ANSWERED] > 200 * KILLS
    assert all(json.loads(line)["requestId"] for line in lines)
    evidence.record("sigkill", KILLS, lost)
