"""Flooded, long-lived and cut HTTP/2 connections: other clients get answers."""

import asyncio
from contextlib import suppress
from functools import partial
from time import monotonic

import h2.connection
from h2.errors import ErrorCodes

from tests.reliability.answers import ANSWERED, CUT, Answer
from tests.reliability.calls import SETTLE_SECONDS, answers_still, rule, side_by_side
from tests.reliability.evidence import Evidence
from tests.reliability.http1 import FAILURES
from tests.reliability.http2 import Http2
from tests.reliability.mix import INVOKE, STREAM, to
from tests.reliability.service import SCRIPTED, Service, seconds_until, service_running
from tests.reliability.trials import CUTS, MAX_WAIT_SECONDS, REQUESTS, RESETS


def rapid_reset() -> bytes:
    """Return streams that are opened and reset at once (CVE-2023-44487)."""
    connection = h2.connection.H2Connection()
    connection.initiate_connection()
    for number in range(RESETS):
        stream = 2 * number + 1
        named = [(":method", "POST"), (":path", to(INVOKE)), (":scheme", "http")]
        connection.send_headers(stream, [*named, (":authority", "x")], end_stream=True)
        connection.reset_stream(stream, ErrorCodes.CANCEL)
    return connection.data_to_send()


async def flood(service: Service, data: bytes) -> tuple[int, float]:
    """Flood the service; return how many other calls were not answered, and their seconds."""
    host, port = service.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    with suppress(*FAILURES):
        writer.write(data)
        began = monotonic()
        lost = await asyncio.to_thread(answers_still, service.url)
        took = monotonic() - began
        while await reader.read(65_536):
            pass
    writer.close()
    return lost, took


def test_a_rapid_reset_holds_up_nobody(evidence: Evidence) -> None:
    with service_running(*SCRIPTED) as service:
        lost, took = asyncio.run(flood(service, rapid_reset()))
        seconds_until(lambda: service.under_way() == 0, most=SETTLE_SECONDS)

    assert took < MAX_WAIT_SECONDS
    evidence.record("resets", RESETS, lost)


async def ask_often(url: str) -> list[Answer]:
    async with Http2(url) as connection:
        works = [partial(connection.ask, "POST", to(INVOKE), {"prompt": "Hi"})] * REQUESTS
        return await side_by_side(works, most=20)


def test_a_connection_of_http_2_serves_any_number_of_requests(evidence: Evidence) -> None:
    with service_running(*SCRIPTED) as service:
        answers = asyncio.run(ask_often(service.url))
    lost = [answer for answer in answers if answer.outcome != ANSWERED]

    evidence.record("long-lived", REQUESTS, len(lost))


async def ask_one_by_one(url: str) -> list[Answer]:
    """Send one request at a time, so that no other write flushes a delayed answer."""
    async with Http2(url) as connection, asyncio.timeout(MAX_WAIT_SECONDS):
        return [
            await connection.ask("POST", to(operation), {"prompt": "Hi"})
            for operation in (INVOKE, STREAM)
            for _ in range(CUTS // 2)
        ]


def test_a_stream_that_is_cut_before_its_first_byte_is_reset(evidence: Evidence) -> None:
    with service_running(*SCRIPTED) as service:
        rule(service.url, fault="cut")
        answers = asyncio.run(ask_one_by_one(service.url))
    lost = [answer for answer in answers if answer.outcome != CUT]

    evidence.record("cuts", CUTS, len(lost))
