"""Loading of engines, with its progress in the log."""

import asyncio
import gc
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from time import monotonic
from typing import TypeVar

from engine.protocol import Engine

Result = TypeVar("Result")

log = logging.getLogger(__name__)

STILL_LOADING = 10.0  # seconds between two log lines about the same load


async def load(engine: Engine, names: str) -> str | None:
    """Load the engine and log it. Return why it failed, or None. `names` are its models."""
    began, short = monotonic(), shorten_names(names)
    log.info("loading %s", names)
    async with telling(lambda seconds: log.info("still loading %s (%.0f s)", short, seconds)):
        failure = await start(engine, names)
    if failure is None:
        log.info("ready after %.1f s: %s", monotonic() - began, names)
    else:
        log.error("failed after %.1f s: %s: %s", monotonic() - began, names, failure)
    return failure


def shorten_names(names: str) -> str:
    """Return the first of the comma-separated names, and the number of further ones."""
    first, *others = names.split(", ")
    return f"{first} and {len(others)} more" if others else first


async def start(engine: Engine, names: str) -> str | None:
    """Start the engine. Return why it failed, or None."""
    try:
        await engine.start()
    except Exception as error:  # else its callers would wait for ever
        log.exception("%s did not start", names)
        return f"{type(error).__name__}: {error}"
    state = engine.state()
    return None if state.status == "ready" else state.reason or f"it is {state.status}"


async def in_thread(work: Callable[[], Result]) -> Result:
    """Do work that may take minutes in a thread of its own, and return its result.

    asyncio's own threads are few, and short work would wait for one of them.
    """
    pool = ThreadPoolExecutor(max_workers=1)
    try:
        return await asyncio.get_running_loop().run_in_executor(pool, work)
    finally:
        pool.shutdown(wait=False)


@asynccontextmanager
async def telling(tell: Callable[[float], None]) -> AsyncIterator[None]:
    """Call `tell` every `STILL_LOADING` seconds with the seconds since the context was entered."""
    task = asyncio.create_task(_tell(tell))
    try:
        yield
    finally:
        task.cancel()


async def _tell(tell: Callable[[float], None]) -> None:
    began = monotonic()
    while True:
        await asyncio.sleep(STILL_LOADING)
        tell(monotonic() - began)


@contextmanager
def telling_beside(tell: Callable[[float], None]) -> Iterator[None]:
    """Report progress like `telling`, from a thread, for work that blocks."""
    began, is_over = monotonic(), threading.Event()

    def run() -> None:
        while not is_over.wait(STILL_LOADING):
            tell(monotonic() - began)

    threading.Thread(target=run, daemon=True).start()
    try:
        yield
    finally:
        is_over.set()


@cache
def freeze_once() -> None:
    """Exclude the objects that exist after vLLM's import from garbage collection.

    Collecting them would delay calls; vLLM's own server freezes them, too. Runs only once, because
    frozen garbage is never freed.
    """
    gc.freeze()
