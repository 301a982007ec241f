"""Floods of HTTP/2 frames on one connection: others are answered as if it were not there."""

import asyncio
from contextlib import suppress
from functools import partial
from time import monotonic

import h2.connection
from h2.errors import ErrorCodes

from tests.reliability.answers import ANSWERED, Answer
from tests.reliability.calls import SETTLED, answers_still, ask, side_by_side
from tests.reliability.evidence import Evidence
from tests.reliability.http1 import FAILURES
from tests.reliability.http2 import Http2
from tests.reliability.mix import INVOKE, to
from tests.reliability.service import SCRIPTED, Service, seconds_until, service_running
from tests.reliability.trials import REQUESTS, RESETS, SOON

BODY = ask(INVOKE).partition(b"\r\n\r\n")[2]


def rapid_reset() -> bytes:
    """Return streams that are opened and reset at once, CVE-2023-44487."""
    connection = h2.connection.H2Connection()
    connection.initiate_connection()
    for number in range(RESETS):
        stream = 2 * number + 1
        named = [(":method", "POST"), (":path", to(INVOKE)), (":scheme", "http")]
        connection.send_headers(stream, [*named, (":authority", "x")])
        connection.send_data(stream, BODY, end_stream=True)
        connection.reset_stream(stream, ErrorCodes.CANCEL)
    return connection.data_to_send()


async def flood(service: Service, data: bytes) -> tuple[int, float]:
    """Return how many calls of others were not answered meanwhile, and how long they took."""
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
        seconds_until(lambda: service.under_way() == 0, most=SETTLED)

    assert took < SOON
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
