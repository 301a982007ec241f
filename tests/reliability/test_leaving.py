"""Thousands of clients that disconnect in mid-stream: no call is left."""

import asyncio
from functools import partial

from tests.reliability.calls import SETTLE_SECONDS, ask, counted, ends, journal, rule, side_by_side
from tests.reliability.evidence import Evidence
from tests.reliability.http1 import Http1
from tests.reliability.http2 import Http2
from tests.reliability.mix import CONVERSE_STREAM, INVOKE, STREAM, WORDS, to
from tests.reliability.service import SCRIPTED, Service, seconds_until, service_running
from tests.reliability.trials import HANG_UPS, SURPLUS_HANG_UPS
from tests.reliability.watching import take

LONG = {"reply": " ".join(WORDS * 40), "pace": {"tokens_per_second": 20}}


NEVER = {"reply": "never", "pace": {"first_token": 600}}


async def hang_up(url: str) -> None:
    """Disconnect after the first token."""
    await Http1(url).ask_and_leave(ask(STREAM, tokens=500), after=600)


async def send_more_and_leave(service: Service) -> None:
    """Disconnect while nothing is written, after a byte of a further request."""
    connections = [Http1(service.url) for _ in range(SURPLUS_HANG_UPS)]
    for number, connection in enumerate(connections):
        (await connection.open()).write(ask((INVOKE, STREAM)[number % 2]) + b"P")
    waiting = partial(seconds_until, lambda: service.under_way() == SURPLUS_HANG_UPS, most=30)
    await asyncio.to_thread(waiting)
    for connection in connections:
        connection.leave()


async def reset(connection: Http2, operation: str) -> None:
    body = {"prompt": "Hi"} if operation == STREAM else LONG_TALK
    await connection.ask("POST", to(operation), body, leaves=True)


LONG_TALK = {
    "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
    "inferenceConfig": {"maxTokens": 500},
}


async def leave_all(url: str, times: int) -> None:
    """Disconnect half over HTTP/1.1, half by HTTP/2 resets, half of these of ConverseStream."""
    works = [partial(hang_up, url)] * (times // 2)
    async with Http2(url) as one, Http2(url) as other:
        works += [partial(reset, one, STREAM)] * (times // 4)
        works += [partial(reset, other, CONVERSE_STREAM)] * (times - len(works))
        await side_by_side(works)


def all_cancelled(service: Service, times: int) -> int:
    """Count lost calls: those not `cancelled` once in journal and metrics."""
    seconds_until(lambda: service.under_way() == 0, most=SETTLE_SECONDS)
    told = ends(journal(service.url))
    return max(times - told["cancelled"], times - counted(service.url, "cancelled"))


def test_clients_that_hang_up_in_mid_stream_end_their_calls(evidence: Evidence) -> None:
    with service_running(*SCRIPTED) as service:
        rule(service.url, **LONG)
        asyncio.run(leave_all(service.url, 40))  # fills pools and buffers
        seconds_until(lambda: service.under_way() == 0, most=SETTLE_SECONDS)
        before = take(service)
        asyncio.run(leave_all(service.url, HANG_UPS))
        lost = all_cancelled(service, HANG_UPS)  # the journal keeps as many
        seconds_until(lambda: take(service).files <= before.files + 2, most=SETTLE_SECONDS)
        seconds_until(lambda: take(service).tasks <= before.tasks + 2, most=SETTLE_SECONDS)
        grown = take(service).memory - before.memory

    evidence.record("hang-ups", HANG_UPS, lost)
    assert grown < 50  # MiB


def test_clients_that_sent_more_than_a_request_and_hang_up_end_their_calls(
    evidence: Evidence,
) -> None:
    with service_running(*SCRIPTED) as service:
        rule(service.url, **NEVER)
        asyncio.run(send_more_and_leave(service))
        lost = all_cancelled(service, SURPLUS_HANG_UPS)

    evidence.record("hang-ups-surplus", SURPLUS_HANG_UPS, lost)
