"""Clients that are there and take nothing: given up in time, for they hold a call of a model."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STALLED = 60.0  # seconds; guess: as long as SDKs wait for an answer


@contextmanager
def given_up(loop: asyncio.AbstractEventLoop, give_up: Callable[[], object]) -> Iterator[None]:
    """Calls `give_up` if what waits inside for the client has waited `STALLED` seconds."""
    timer = loop.call_later(STALLED, give_up)
    try:
        yield
    finally:
        timer.cancel()
