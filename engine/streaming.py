"""Streaming of text by an asynchronous iterator, for tests and for users of the library."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence

from engine.detokenizer import Detokenizer
from engine.protocol import Delta, Engine, Finish, GenerationRequest, Row


class _Inbox:
    """A receiver that buffers the deltas of a generation until they are read."""

    def __init__(self, detokenizer: Detokenizer) -> None:
        self._detokenizer = detokenizer
        self._has_news = asyncio.Event()
        self._batches: deque[Sequence[Delta]] = deque()
        self._error: Exception | None = None

    def push(
        self, tokens: Sequence[int], finish: Finish | None = None, rows: Sequence[Row] = ()
    ) -> None:
        if self._error:
            return
        try:
            if deltas := self._detokenizer.feed(tokens, finish, rows):
                self._batches.append(deltas)
                self._has_news.set()
        except Exception as error:  # noqa: BLE001 - raised where the deltas are read
            self.end(error)

    def end(self, error: Exception) -> None:
        self._error = error
        self._has_news.set()

    async def next(self) -> Sequence[Delta]:
        await self._has_news.wait()
        if self._batches:
            batch = self._batches.popleft()
            if not (self._batches or self._error):
                self._has_news.clear()
            return batch
        assert self._error, "a receiver with news has deltas or an error"
        raise self._error


async def stream(
    engine: Engine, request: GenerationRequest
) -> AsyncGenerator[Sequence[Delta], None]:
    """Yield the deltas of each step, one for each token; the last has `finish` and `usage`.

    Closing the iterator cancels the generation. Raises `EngineError`s.
    """
    inbox = _Inbox(Detokenizer(engine.tokenizer(), request))
    generation = engine.generate(request, inbox)
    try:
        while True:
            batch = await inbox.next()
            yield batch
            if batch[-1].finish:
                return
    finally:
        generation.cancel()
