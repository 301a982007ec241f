"""The load: concurrent users over HTTP in this process."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from time import perf_counter, process_time

from bench.streams.answers import Kind, ask
from bench.streams.batch import Batch, Drive, Driver, Sample


def http_driver(port: int, kind: Kind) -> Driver:
    """Return a function that sends batches to a server on this port."""
    return lambda batch: asyncio.run(drive(batch, partial(ask, port, kind)))


async def drive(batch: Batch, one: Callable[[Batch, str], Awaitable[Sample]]) -> Drive:
    """Run all users at once; each sends its next request after an answer."""

    async def user(number: int) -> list[Sample]:
        return [await one(batch, prompt) for prompt in batch.prompts[number :: batch.users]]

    own, began = process_time(), perf_counter()
    users = await asyncio.gather(*(user(number) for number in range(batch.users)))
    seconds = perf_counter() - began
    return Drive([sample for each in users for sample in each], seconds, process_time() - own)
