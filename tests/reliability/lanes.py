"""Concurrent callers, each with its own key, which record outcomes in a ledger."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from random import Random
from time import monotonic
from typing import Any, Protocol

from tests.reliability.answers import LEFT, Answer
from tests.reliability.http1 import Http1, encode
from tests.reliability.http2 import Http2
from tests.reliability.ledger import CALL_HEADER, Ledger, Made
from tests.reliability.mix import Kind, draw

CALLS_PER_CHECK = (
    16  # calls of a caller between two looks at the journal, which keeps 1,000 for all
)
ANSWER_SECONDS = 45.0  # seconds for an answer: less than control connections may be idle
NO_ANSWER = "nothing"  # in that time
SETTLE_SECONDS = 20.0  # for the service to notice that a client has left
REGION = "us-west-2"  # which has every model


class Way(Protocol):
    """A caller's connection to the service."""

    async def call(self, kind: Kind, body: object, headers: Mapping[str, str]) -> str: ...

    def leave(self) -> None: ...


class ByHttp1:
    """An HTTP/1.1 connection of one caller, which a cancelled call ends."""

    def __init__(self, url: str) -> None:
        self._connection = Http1(url)

    async def call(self, kind: Kind, body: object, headers: Mapping[str, str]) -> str:
        raw = encode(kind.method, kind.path, body, headers)
        if kind.is_half:
            (await self._connection.open()).write(raw[:-1])
            await asyncio.sleep(0.01)  # for its head to be read
            await (await self._connection.open()).drain()
            self._connection.leave()
            return LEFT
        if kind.leaves_after is not None:
            await self._connection.ask_and_leave(raw, kind.leaves_after)
            return LEFT
        return (await self._connection.ask(raw)).outcome

    def leave(self) -> None:
        self._connection.leave()


@dataclass(slots=True)
class ByHttp2:
    """An HTTP/2 connection that callers share."""

    connection: Http2

    async def call(self, kind: Kind, body: object, headers: Mapping[str, str]) -> str:
        leaves = kind.leaves_after is not None
        answer: Answer = await self.connection.ask(
            kind.method, kind.path, body, headers, leaves=leaves, is_half=kind.is_half
        )
        return LEFT if leaves or kind.is_half else answer.outcome

    def leave(self) -> None:
        """Keep the connection, which others share."""


@dataclass(slots=True)
class Lane:
    """One caller. `slowest` is the longest time for an answer, in seconds."""

    key: str
    way: Way
    control: Http1
    ledger: Ledger
    random: Random
    pause: float
    slowest: float = 0.0
    numbers: "count[int]" = field(default_factory=count)

    async def run(self, until: float) -> None:
        while monotonic() < until:
            made = [await self._call() for _ in range(CALLS_PER_CHECK)]
            self.ledger.settle(made, await self._read_journal())

    def leave(self) -> None:
        """Close the connections."""
        self.control.leave()
        self.way.leave()

    async def _call(self) -> Made:
        kind = draw(self.random)
        mark = f"{self.key}-{next(self.numbers)}"
        if kind.rule:
            await self._control("POST", f"/rules?scope={self.key}", {**kind.rule, "times": 1})
        headers = {**kind.headers, CALL_HEADER: mark, "Authorization": self._signed()}
        began = monotonic()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                seen = await self.way.call(kind, kind.body(self.random), headers)
        except TimeoutError:
            seen = NO_ANSWER
        self.slowest = max(self.slowest, monotonic() - began)
        if kind.rule:
            await self._control("DELETE", f"/rules?scope={self.key}")
        if self.pause:
            await asyncio.sleep(self.random.random() * 2 * self.pause)
        return Made(mark, kind, seen)

    async def _read_journal(self) -> list[dict[str, Any]]:
        """Return this caller's entries once all have ended, and delete them."""
        deadline = monotonic() + SETTLE_SECONDS
        while True:
            found = await self._control("GET", f"/requests?scope={self.key}")
            entries: list[dict[str, Any]] = found["requests"]
            if all(entry["ended"] for entry in entries) or monotonic() > deadline:
                await self._control("DELETE", f"/requests?scope={self.key}")
                return entries
            await asyncio.sleep(0.05)

    async def _control(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        answer = await self.control.ask(encode(method, f"/_emulator{path}", body))
        assert answer.is_whole, f"{method} {path} was cut off"
        assert answer.status < 300, answer.body
        found: dict[str, Any] = json.loads(answer.body)
        return found

    def _signed(self) -> str:
        credential = f"{self.key}/20261130/{REGION}/bedrock/aws4_request"
        return f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"


@asynccontextmanager
async def lanes_open(
    url: str, ledger: Ledger, *, lanes: int, seed: int, pause: float = 0.0
) -> AsyncIterator[list[Lane]]:
    """Yield so many callers; every third uses a shared HTTP/2 connection."""
    async with Http2(url) as shared:
        yield [
            Lane(
                key=f"AKIDLANE{number:04}",
                way=ByHttp1(url) if number % 3 else ByHttp2(shared),
                control=Http1(url),
                ledger=ledger,
                random=Random(seed + number),
                pause=pause,
            )
            for number in range(lanes)
        ]
