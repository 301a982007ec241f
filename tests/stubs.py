"""An engine that does exactly what a test says, in the time it says."""

import asyncio
from collections.abc import Sequence

from engine.protocol import Delta, Deltas, EngineState, GenerationRequest, Usage
from engine.tokenizer import Tokenizer, load_tokenizer


class StubEngine:
    """Plays these texts, one a delta, with a pause in seconds before each; then raises or ends.

    Pause 0 lets others run in between, None does not.

    `finish` False ends as an engine must not: without a last delta.
    """

    name = "stub"

    def __init__(
        self,
        texts: Sequence[str] = (),
        *,
        pause: float | None = 0.0,
        error: Exception | None = None,
        finish: bool = True,
        state: EngineState = EngineState("ready"),  # noqa: B008 - it is frozen
    ) -> None:
        self._texts = texts
        self._pause = pause
        self._error = error
        self._finish = finish
        self._state = state
        self._running = 0

    async def start(self) -> None:
        pass

    def state(self) -> EngineState:
        return self._state

    def running(self) -> int:
        return self._running

    def tokenizer(self) -> Tokenizer:
        self._state.check_ready()
        return load_tokenizer("v1")

    async def generate(self, request: GenerationRequest) -> Deltas:
        self._running += 1
        try:
            for text in self._texts:
                if self._pause is not None:
                    await asyncio.sleep(self._pause)
                yield (Delta(text),)
            if self._error:
                raise self._error
            if self._finish:
                yield (Delta("", "stop", Usage(len(request.prompt), len(self._texts) + 1)),)
        finally:
            self._running -= 1

    async def close(self) -> None:
        pass
