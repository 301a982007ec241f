"""Hundreds of calls, and their outcomes in the service's metrics."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from tests.reliability.answers import Answer
from tests.reliability.http1 import Http1, encode
from tests.reliability.mix import STEPS, STREAM, to
from tests.support.metrics import CALLS, Scrape
from tests.support.servers import call

Result = TypeVar("Result")

SETTLE_SECONDS = 30.0  # for the service to notice that clients have left


def ask(operation: str, text: str = "Hi", *, tokens: int = 20) -> bytes:
    """Return the bytes of a call of Mistral 7B."""
    assert operation in STEPS
    return encode("POST", to(operation), {"prompt": text, "max_tokens": tokens})


def rule(url: str, **document: Any) -> str:
    """Add a rule, and return its id."""
    response, body = call(url, "POST", "/_emulator/rules", json.dumps(document).encode())
    assert response.status == 201, body
    return str(json.loads(body)["rules"][0]["id"])


def journal(url: str, query: str = "") -> list[dict[str, Any]]:
    _, body = call(url, "GET", f"/_emulator/requests{query}")
    found: list[dict[str, Any]] = json.loads(body)["requests"]
    return found


def ends(entries: Sequence[dict[str, Any]]) -> Counter[str]:
    return Counter(str(entry["ended"]) for entry in entries)


def counted(url: str, outcome: str) -> int:
    """Return how many calls the metrics count with this outcome."""
    return round(Scrape(url).sum(CALLS, outcome=outcome))


async def side_by_side(
    works: Sequence[Callable[[], Awaitable[Result]]], most: int = 100
) -> list[Result]:
    """Run all of these, so many at a time, and return their results in order."""
    slots = asyncio.Semaphore(most)

    async def one(work: Callable[[], Awaitable[Result]]) -> Result:
        async with slots:
            return await work()

    return await asyncio.gather(*(one(work) for work in works))


async def ask_once(url: str, raw: bytes, source: str | None = None) -> Answer:
    """Ask on a new connection."""
    connection = Http1(url, source)
    answer = await connection.ask(raw)
    connection.leave()
    return answer


def answers_still(url: str, times: int = 20) -> int:
    """Make plain calls, and return the number that is not answered."""

    async def all_of_them() -> list[Answer]:
        return await side_by_side([lambda: ask_once(url, ask(STREAM))] * times, most=4)

    return sum(answer.outcome != "answered" for answer in asyncio.run(all_of_them()))
