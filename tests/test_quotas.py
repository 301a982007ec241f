"""Requests and tokens a minute: what is let through, what is throttled, and in which words."""

import dataclasses
import json
from pathlib import Path

import pytest

from engine.protocol import Delta, Deltas, Usage
from invoke_api.quotas import TOO_MANY_TOKENS, Quotas
from invoke_api.registry import DEFAULT_REGISTRY, Model, load_registry
from invoke_api.rules.playing import Broken, faulty, singly
from invoke_api.rules.rule import Fault
from invoke_api.wire.errors import ThrottlingException
from tests.servers import COMMAND, PIXTRAL, SEVEN_B, command_running, invoke, wait_until_ready


def model(requests: int | None = None, tokens: int | None = None) -> Model:
    shipped = load_registry(DEFAULT_REGISTRY).models[SEVEN_B]
    return dataclasses.replace(shipped, requests_per_minute=requests, tokens_per_minute=tokens)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_requests_are_throttled_and_come_back_with_time() -> None:
    clock = Clock()
    quotas, limited = Quotas(enforced=True, clock=clock), model(requests=2)
    for _ in range(2):
        quotas.take(limited, "us-east-1", "A", 1)
    with pytest.raises(ThrottlingException, match="Too many requests, please wait"):
        quotas.take(limited, "us-east-1", "A", 1)
    clock.now = 30.0
    quotas.take(limited, "us-east-1", "A", 1)
    with pytest.raises(ThrottlingException):
        quotas.take(limited, "us-east-1", "A", 1)


def test_regions_and_keys_have_their_own() -> None:
    quotas, limited = Quotas(enforced=True), model(requests=1)
    for region, key in (("us-east-1", "A"), ("us-east-1", "B"), ("eu-west-1", "A")):
        quotas.take(limited, region, key, 1)
    with pytest.raises(ThrottlingException):
        quotas.take(limited, "us-east-1", "B", 1)


async def test_tokens_are_taken_up_front_and_what_was_not_needed_comes_back() -> None:
    quotas, limited = Quotas(enforced=True), model(tokens=100)
    share = quotas.take(limited, "us-east-1", "A", 90)
    with pytest.raises(ThrottlingException, match=TOO_MANY_TOKENS):
        quotas.take(limited, "us-east-1", "A", 20)

    async def deltas() -> Deltas:
        yield (Delta(" a"), Delta(" b"))
        yield (Delta("", "stop", Usage(10, 3)),)

    assert share
    assert [batch async for batch in share.metered(deltas(), 10)][-1][-1].finish == "stop"
    assert quotas.take(limited, "us-east-1", "A", 85)
    with pytest.raises(ThrottlingException):
        quotas.take(limited, "us-east-1", "A", 10)


async def test_what_a_fault_keeps_back_of_a_batch_comes_back_too() -> None:
    quotas, limited = Quotas(enforced=True), model(tokens=100)
    share = quotas.take(limited, "us-east-1", "A", 90)

    async def deltas() -> Deltas:
        yield [Delta(" a")] * 50

    assert share
    metered = share.metered(singly(deltas()), 10)
    broken = faulty(metered, Fault(breakage="cut", after_tokens=2), SEVEN_B)
    for _ in range(2):
        assert await anext(broken) == (Delta(" a"),)
    with pytest.raises(Broken):
        await anext(broken)

    assert quotas.take(limited, "us-east-1", "A", 87)  # the third was on its way
    with pytest.raises(ThrottlingException):
        quotas.take(limited, "us-east-1", "A", 2)


def test_nothing_is_throttled_unless_asked_for() -> None:
    quotas, limited = Quotas(), model(requests=1, tokens=1)
    for _ in range(10):
        assert quotas.take(limited, "us-east-1", "A", 10_000) is None


def test_the_shipped_quotas_are_awss_defaults() -> None:
    shipped = load_registry(DEFAULT_REGISTRY).models
    quotas = [(m.requests_per_minute, m.tokens_per_minute) for m in shipped.values()]

    assert quotas[:4] == [(800, 300_000), (400, 300_000), (400, 300_000), (400, 300_000)]
    assert shipped[PIXTRAL.removeprefix("us.")].requests_per_minute == 10
    assert (None, None) in quotas  # of some, AWS says nothing


def test_a_service_with_quotas_throttles(tmp_path: Path) -> None:
    file = tmp_path / "registry.yaml"
    text = DEFAULT_REGISTRY.read_text()
    file.write_text(text.replace("requests_per_minute: 800", "requests_per_minute: 2"))
    command = [*COMMAND, "--engine", "scripted", "--quotas", "--registry", str(file)]
    with command_running(command) as url:
        wait_until_ready(url, seconds=30)
        answers = [invoke(url, {"prompt": "Hi", "max_tokens": 1}) for _ in range(3)]

    assert [response.status for response, _ in answers] == [200, 200, 429]
    assert json.loads(answers[-1][1]) == {
        "message": "Too many requests, please wait before trying again."
    }
