"""The same 22,000 random requests to all operations in each run; `make fuzz` sends others."""

import re
from random import Random

import pytest

from tests.fuzzing.app import Alarms, Service
from tests.fuzzing.control import draw_control, judge_control
from tests.fuzzing.judging import judge
from tests.fuzzing.requests import FuzzRequest, draw_request

SHARES = {"plain": 9_000, "everything": 6_000, "signed": 3_000, "replayed": 4_000}
HOST = ((b"host", b"127.0.0.1"),)
PLAIN = FuzzRequest(
    "InvokeModel",
    "POST",
    b"/model/mistral.mistral-7b-instruct-v0%3A2/invoke",
    b"",
    HOST,
    b'{"prompt": "Hi", "max_tokens": 1}',
)
METRICS = FuzzRequest("", "GET", b"/metrics", b"", HOST, b"")
TOTAL = re.compile(rb"^invoke_api_calls_total\{.*\} ([0-9.]+)$", re.MULTILINE)


async def count_calls(service: Service) -> int:
    answer = await service.ask(METRICS)
    assert answer.status == 200
    return int(sum(float(found) for found in TOTAL.findall(answer.body)))


@pytest.mark.parametrize("kind", SHARES)
async def test_whatever_is_asked_is_answered_as_modelled(
    services: dict[str, Service], alarms: Alarms, kind: str
) -> None:
    service, random, usual = services[kind], Random(kind), 0
    status = 403 if kind == "signed" else 200
    before = await count_calls(service)
    for number in range(SHARES[kind]):
        await judge(service, draw_request(random), alarms)
        if number % 25 == 0:
            usual += 1
            assert (await judge(service, PLAIN, alarms)).status == status

    assert await count_calls(service) == before + SHARES[kind] + usual


async def test_whatever_is_asked_of_our_own_routes_is_no_error_of_the_service(
    services: dict[str, Service], alarms: Alarms
) -> None:
    random = Random("control")
    for _ in range(3_000):
        await judge_control(services["plain"], draw_control(random), alarms)
    assert (await judge(services["plain"], PLAIN, alarms)).status == 200
