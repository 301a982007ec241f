"""Quotas of requests and tokens per minute, and the errors of throttled calls."""

import asyncio
import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis.strategies import sampled_from
from starlette.types import Message, Scope

from engine.errors import EngineBusy, EngineDead
from engine.protocol import (
    EngineState,
    Finish,
    Generation,
    GenerationRequest,
    Receiver,
    Row,
    check_request,
)
from invoke_api.models import quotas as module
from invoke_api.models.engine_pool import Engines
from invoke_api.models.quotas import TOO_MANY_TOKENS, Quotas, Share
from invoke_api.models.registry import DEFAULT_REGISTRY, Model, load_registry
from invoke_api.pipeline.answer import Answer
from invoke_api.pipeline.request_body import InFlightCalls
from invoke_api.rules.parser import parse_rules
from invoke_api.rules.rule_book import RuleBook
from invoke_api.server.app import create_app
from invoke_api.wire.errors import ThrottlingException
from tests.support.servers import (
    COMMAND,
    PIXTRAL,
    SEVEN_B,
    command_running,
    invoke,
    wait_until_ready,
)
from tests.support.stubs import StubEngine

REGISTRY = load_registry(DEFAULT_REGISTRY)


def model(requests: int | None = None, tokens: int | None = None) -> Model:
    shipped = REGISTRY.models[SEVEN_B]
    return dataclasses.replace(shipped, requests_per_minute=requests, tokens_per_minute=tokens)


def take(quotas: Quotas, limited: Model, region: str, key: str | None, tokens: int) -> Share | None:
    """Take this many tokens, ten of them for the prompt."""
    prompt = min(10, tokens)
    return quotas.take(limited, region, key, input_tokens=prompt, max_tokens=tokens - prompt)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_requests_are_throttled_and_come_back_with_time() -> None:
    clock = Clock()
    quotas, limited = Quotas(enforced=True, clock=clock), model(requests=2)
    for _ in range(2):
        take(quotas, limited, "us-east-1", "A", 1)
    with pytest.raises(ThrottlingException, match="Too many requests, please wait"):
        take(quotas, limited, "us-east-1", "A", 1)
    clock.now = 30.0
    take(quotas, limited, "us-east-1", "A", 1)
    with pytest.raises(ThrottlingException):
        take(quotas, limited, "us-east-1", "A", 1)


def test_regions_and_keys_have_their_own() -> None:
    quotas, limited = Quotas(enforced=True), model(requests=1)
    for region, key in (("us-east-1", "A"), ("us-east-1", "B"), ("eu-west-1", "A")):
        take(quotas, limited, region, key, 1)
    with pytest.raises(ThrottlingException):
        take(quotas, limited, "us-east-1", "B", 1)


def test_tokens_are_taken_up_front_and_what_was_not_needed_comes_back() -> None:
    quotas, limited = Quotas(enforced=True), model(tokens=100)
    share = take(quotas, limited, "us-east-1", "A", 90)
    with pytest.raises(ThrottlingException, match=TOO_MANY_TOKENS):
        take(quotas, limited, "us-east-1", "A", 20)
    assert share
    for tokens in (2, 1):
        share.count(tokens)
    share.settle()
    share.settle()  # gives nothing back again

    assert take(quotas, limited, "us-east-1", "A", 85)
    with pytest.raises(ThrottlingException):
        take(quotas, limited, "us-east-1", "A", 10)


def test_nothing_is_throttled_unless_asked_for() -> None:
    quotas, limited = Quotas(), model(requests=1, tokens=1)
    for _ in range(10):
        assert take(quotas, limited, "us-east-1", "A", 10_000) is None


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


LIMIT = 1_000_000
WINDOW = 32_768  # tokens; that of the model
TOO_LONG = " word" * 40_000
IN_A_THREAD = " word" * 3_000


def level_of(quotas: Quotas, limited: Model) -> int:
    """Return the number of tokens that can be taken now. Takes them."""
    low, high = 0, LIMIT
    while low < high:
        tokens = (low + high + 1) // 2
        try:
            share = take(quotas, limited, "us-east-1", None, tokens)
        except ThrottlingException:
            high = tokens - 1
        else:
            assert share
            share.settle()
            low = tokens
    return low


class Counter:
    """A receiver that counts tokens: an engine may push more of them before it is cancelled."""

    def __init__(self, stub: "CountingStub", receiver: Receiver) -> None:
        assert isinstance(receiver, Answer)
        self._stub = stub
        self._receiver = receiver
        self.end = receiver.end

    def push(
        self, tokens: Sequence[int], finish: Finish | None = None, rows: Sequence[Row] = ()
    ) -> None:
        self._stub.given += 0 if self._receiver.is_over else len(tokens)
        self._receiver.push(tokens, finish, rows)


class CountingStub(StubEngine):
    """A stub that counts its tokens, and refuses long prompts as real engines do."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.given = 0
        self.prompt_tokens = 0

    def generate(self, request: GenerationRequest, receiver: Receiver) -> Generation:
        check_request(request, WINDOW)
        self.prompt_tokens = len(request.prompt)
        return super().generate(request, Counter(self, receiver))


class Client:
    """A client of one call in this process, which disconnects after some messages of the answer.

    With 0 it disconnects before the first message, with None never.
    """

    def __init__(self, body: bytes, leaves_after: int | None) -> None:
        self._parts = [body]
        self._leaves_after = leaves_after
        self._left = asyncio.Event()
        self._seen = 0

    async def receive(self) -> Message:
        if self._parts:
            return {"type": "http.request", "body": self._parts.pop(), "more_body": False}
        if self._leaves_after == 0:
            await asyncio.sleep(0)
            self._left.set()
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, _: Message) -> None:
        self._seen += 1
        if self._seen == self._leaves_after:
            self._left.set()
        await asyncio.sleep(0)


async def call_in_process(
    app: Callable[..., Any], path: str, body: bytes, leaves_after: int | None
) -> dict[str, Any]:
    """Return the journal's entry of a call that has ended."""
    client = Client(body, leaves_after)
    scope: Scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }
    async with app.router.lifespan_context(app) as state:  # type: ignore[attr-defined]
        scope["state"] = state
        await app(scope, client.receive, client.send)
        [entry] = state["services"].journal.listed()
    assert isinstance(entry, dict)
    return entry


ENGINES: dict[str, Callable[[], CountingStub]] = {
    "answers": lambda: CountingStub([" a", " b", " c"]),
    "answers at once": lambda: CountingStub([" a", " b", " c"], pause=None),
    "is busy": lambda: CountingStub(error=EngineBusy()),
    "dies after two tokens": lambda: CountingStub([" a", " b"], error=EngineDead()),
    "never answers": lambda: CountingStub([" a"], pause=3_600.0),
    "is not ready": lambda: CountingStub(state=EngineState("loading")),
    "has a bug": lambda: CountingStub(error=ZeroDivisionError()),
}
RULES: dict[str, dict[str, Any] | None] = {
    "none": None,
    "reply": {"reply": " one two three"},
    "fault": {"fault": "ThrottlingException"},
    "cut at once": {"fault": {"break": "cut", "after_tokens": 0}},
    "cut": {"fault": {"break": "cut", "after_tokens": 1}},
}


@given(
    engine=sampled_from(sorted(ENGINES)),
    rule=sampled_from(sorted(RULES)),
    operation=sampled_from(["invoke", "invoke-with-response-stream", "converse-stream"]),
    prompt=sampled_from(["Hi", IN_A_THREAD, TOO_LONG]),
    leaves_after=sampled_from([None, 0, 1, 2]),
)
@settings(max_examples=300)
def test_however_a_call_ends_it_keeps_the_tokens_that_it_used(
    engine: str, rule: str, operation: str, prompt: str, leaves_after: int | None
) -> None:
    if engine == "never answers":
        leaves_after = 0
    if operation == "converse-stream":
        asked: dict[str, Any] = {"messages": [{"role": "user", "content": [{"text": prompt}]}]}
    else:
        asked = {"prompt": prompt, "max_tokens": 7}
    stub, book = ENGINES[engine](), RuleBook()
    document = RULES[rule]
    book.add(parse_rules(document) if document else ())
    limited = model(tokens=LIMIT)
    registry = dataclasses.replace(REGISTRY, models={SEVEN_B: limited})
    quotas = Quotas(enforced=True, clock=lambda: 0.0)
    app = create_app(registry, Engines({SEVEN_B: stub}), InFlightCalls(), book=book, quotas=quotas)
    path = f"/model/{SEVEN_B}/{operation}"
    entry = asyncio.run(call_in_process(app, path, json.dumps(asked).encode(), leaves_after))

    level = level_of(quotas, limited)
    if rule == "reply":  # all of it at once, or nothing
        assert level == LIMIT - (entry["input_tokens"] or 0) - (entry["output_tokens"] or 0)
        assert entry["output_tokens"] in (None, 4)
    else:
        assert level == LIMIT - (stub.prompt_tokens + stub.given if stub.given else 0)


def test_buckets_that_are_full_again_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUCKETS_BEFORE_PRUNING", 4)
    clock = Clock()
    quotas, limited = Quotas(enforced=True, clock=clock), model(tokens=100)
    first = take(quotas, limited, "us-east-1", "A", 100)
    for key in range(1_000):
        clock.now += 61.0
        take(quotas, limited, "us-east-1", f"B{key}", 100)

    assert first
    assert quotas.count() <= 5


def test_a_bucket_that_is_not_full_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUCKETS_BEFORE_PRUNING", 4)
    quotas, limited = Quotas(enforced=True, clock=lambda: 0.0), model(tokens=100)
    for key in range(100):
        take(quotas, limited, "us-east-1", str(key), 100)

    for key in range(100):
        with pytest.raises(ThrottlingException):
            take(quotas, limited, "us-east-1", str(key), 100)
