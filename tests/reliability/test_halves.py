"""Requests that stop anywhere: an incomplete request is never answered as a whole one."""

import asyncio
from contextlib import suppress
from functools import partial

from tests.reliability.answers import ANSWERED, Answer
from tests.reliability.calls import (
    SETTLE_SECONDS,
    answers_still,
    ask,
    ask_once,
    counted,
    side_by_side,
)
from tests.reliability.evidence import Evidence
from tests.reliability.http1 import FAILURES, Http1, encode
from tests.reliability.mix import INVOKE
from tests.reliability.service import SCRIPTED, seconds_until, service_running

WHOLE = ask(INVOKE)


async def ask_half(url: str, size: int, *, stays: bool) -> bytes:
    """Send so much of a request and return the answer; with `stays`, reset the connection."""
    connection = Http1(url)
    writer = await connection.open()
    assert connection.reader
    answer = b""
    with suppress(*FAILURES):
        writer.write(WHOLE[:size])
        await writer.drain()
        if stays:
            await asyncio.sleep(0.02)  # usually until it has been read
        else:
            writer.write_eof()
            answer = await asyncio.wait_for(connection.reader.read(), 60)
    connection.leave()
    return answer


def test_no_prefix_of_a_request_is_answered_as_a_request(evidence: Evidence) -> None:
    # Each is sent twice: with the client's half-close, and with a reset.
    sizes = range(len(WHOLE))
    with service_running(*SCRIPTED) as service:
        works = [
            partial(ask_half, service.url, size, stays=stays)
            for size in sizes
            for stays in (False, True)
        ]
        answers = asyncio.run(side_by_side(works))
        seconds_until(lambda: service.under_way() == 0, most=SETTLE_SECONDS)
        accepted = [answer for answer in answers if answer.startswith(b"HTTP/1.1 200")]
        lost = len(accepted) + sum(counted(service.url, end) for end in ("stop", "length", "ok"))
        unanswered = answers_still(service.url)

    assert unanswered == 0
    evidence.record("halves", len(works), lost)


def test_the_whole_request_is() -> None:
    # Without this, the trial above would prove nothing.
    with service_running(*SCRIPTED) as service:
        answer = asyncio.run(ask_once(service.url, WHOLE))

    assert answer.outcome == ANSWERED


async def ask_in_two(url: str, size: int) -> bool:
    """Send a request in two packets, then another; tell whether each has its own answer."""
    connection, first, second = Http1(url), Answer(), Answer()
    writer = await connection.open()
    with suppress(*FAILURES):
        writer.write(WHOLE[:size])
        await asyncio.sleep(0.02)  # usually until it has been read
        writer.write(WHOLE[size:] + encode("GET", "/_emulator/health"))
        await connection.read(first)
        await connection.read(second)
        writer.write_eof()
        assert connection.reader
        rest = await connection.reader.read()
        connection.leave()
        return b"outputs" in first.body and b"models" in second.body and not rest
    connection.leave()
    return False


def test_a_request_in_two_packets_is_one_request_wherever_it_is_split(evidence: Evidence) -> None:
    with service_running(*SCRIPTED) as service:
        works = [partial(ask_in_two, service.url, size) for size in range(1, len(WHOLE))]
        answered = asyncio.run(side_by_side(works))

    evidence.record("splits", len(works), answered.count(False))
