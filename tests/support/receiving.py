"""Receivers for tests, which record deltas or pushes."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

from engine.protocol import Delta, Engine, Finish, GenerationRequest, Row
from engine.streaming import stream


async def batches_of(engine: Engine, request: GenerationRequest) -> list[Sequence[Delta]]:
    async with aclosing(stream(engine, request)) as batches:
        return [batch async for batch in batches]


async def deltas_of(engine: Engine, request: GenerationRequest) -> list[Delta]:
    return [delta for batch in await batches_of(engine, request) for delta in batch]


async def text_of(engine: Engine, request: GenerationRequest) -> str:
    return "".join(delta.text for delta in await deltas_of(engine, request))


class RecordingReceiver:
    """A receiver that records pushes and errors; `surplus` counts those after the end."""

    def __init__(self) -> None:
        self.pushes: list[Sequence[int]] = []
        self.rows: list[Row] = []
        self.finish: Finish | None = None
        self.error: Exception | None = None
        self.surplus = 0
        self._news = asyncio.Event()

    @property
    def tokens(self) -> list[int]:
        return [token for tokens in self.pushes for token in tokens]

    @property
    def is_over(self) -> bool:
        return self.finish is not None or self.error is not None

    def push(
        self, tokens: Sequence[int], finish: Finish | None = None, rows: Sequence[Row] = ()
    ) -> None:
        self.surplus += self.is_over
        self.pushes.append(tokens)
        self.rows += rows
        self.finish = finish
        self._news.set()

    def end(self, error: Exception) -> None:
        self.surplus += self.is_over
        self.error = error
        self._news.set()

    async def wait_for_pushes(self, pushes: int = 1) -> None:
        """Wait for so many pushes, or the end."""
        while len(self.pushes) < pushes and not self.is_over:
            self._news.clear()
            await self._news.wait()

    async def wait_for_end(self) -> None:
        while not self.is_over:
            self._news.clear()
            await self._news.wait()
