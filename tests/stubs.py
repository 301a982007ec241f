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


class SwappedStub(StubEngine):
    """One that is loaded and released as a test says, and writes down what is done to it.

    It loads at once, or when `may_load` is set; `sleeps` tells how it gives its memory back.
    `awake` is shared by all stubs of a test: more than one name in it, and memory would be short.
    """

    def __init__(
        self,
        texts: Sequence[str] = ("yes",),
        *,
        sleeps: bool = False,
        awake: set["SwappedStub"] | None = None,
    ) -> None:
        super().__init__(texts, state=EngineState("cold"))
        self._sleeps = sleeps
        self.awake = set() if awake is None else awake
        self.done: list[str] = []
        self.may_load = asyncio.Event()
        self.may_load.set()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.failure: str | None = None
        self.most = 0  # engines that were awake as this one woke, itself included

    async def start(self) -> None:
        self.done.append("wakes" if self._state.status == "asleep" else "loads")
        self.awake.add(self)
        self.most = len(self.awake)
        await self.may_load.wait()
        if self.failure:
            self._state = EngineState("failed", self.failure)
            self.awake.discard(self)
        else:
            self._state = EngineState("ready")

    async def release(self) -> None:
        assert not self._running, "it is released while it answers"
        await asyncio.sleep(0)
        self.done.append("sleeps" if self._sleeps else "closes")
        self._state = EngineState("asleep" if self._sleeps else "cold")
        self.awake.discard(self)

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
            self._running -= 1
            async with aclosing(super().generate(request)) as deltas:
                async for batch in deltas:
                    yield batch
            self._running += 1
        finally:
            self._running -= 1

    async def close(self) -> None:
        self.done.append("ends")
        self._state = EngineState("cold")
        self.awake.discard(self)
