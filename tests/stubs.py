"""An engine that does exactly what a test says, in the time it says."""

import asyncio
from collections.abc import Sequence

from engine.protocol import (
    Delta,
    Deltas,
    EngineState,
    GenerationRequest,
    Usage,
    check_request,
)
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


class SwappedStub(StubEngine):
    """One that loads and answers when it may, and writes down what is done to it.

    `sleeps` tells how it gives its memory back. `awake`, which the stubs of a test may share, are
    those that hold memory.
    """

    def __init__(self, *, sleeps: bool = False, awake: "set[SwappedStub] | None" = None) -> None:
        super().__init__(state=EngineState("cold"))
        self._sleeps = sleeps
        self._awake = set() if awake is None else awake
        self.done: list[str] = []
        self.may_load, self.may_answer = asyncio.Event(), asyncio.Event()
        self.may_load.set()
        self.may_answer.set()
        self.failure: str | None = None
        self.bug: Exception | None = None
        self.most_awake = 0

    async def start(self) -> None:
        self.done.append("wakes" if self._state.status == "asleep" else "loads")
        self._awake.add(self)
        self.most_awake = max(self.most_awake, len(self._awake))
        await self.may_load.wait()
        if self.bug:
            raise self.bug
        self._state = EngineState("failed" if self.failure else "ready", self.failure)

    async def release(self) -> None:
        assert not self._running, "it is released while it answers"
        self.done.append("sleeps" if self._sleeps else "closes")
        await asyncio.sleep(0)
        self._state = EngineState("asleep" if self._sleeps else "cold")
        self._awake.discard(self)
        if self.bug:
            raise self.bug

    def die(self) -> None:
        self._state = EngineState("failed", "its core has died")

    def read_tokenizer(self) -> Tokenizer:
        return load_tokenizer("v1")

    def check(self, request: GenerationRequest) -> None:
        check_request(request, 1_000)

    async def generate(self, request: GenerationRequest) -> Deltas:
        self._state.check_ready()
        self._running += 1
        try:
            await self.may_answer.wait()
            yield (Delta("yes", "stop", Usage(len(request.prompt), 1)),)
        finally:
            self._running -= 1

    async def close(self) -> None:
        self.done.append("ends")
