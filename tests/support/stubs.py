"""Stub engines that tests control exactly."""

import asyncio
from collections.abc import Sequence
from copy import copy
from functools import cache, partial

from engine.generation_task import GenerationTask, truncate_answer
from engine.protocol import EngineState, Generation, GenerationRequest, Receiver, check_request
from engine.tokenization.tokenizer import Tokenizer, load_tokenizer


class StubEngine:
    """An engine that plays these texts, one for each token, and then fails or ends.

    The pause before each is in seconds. Pause 0 lets other tasks run, None does not.
    """

    name = "stub"

    def __init__(
        self,
        texts: Sequence[str] = (),
        *,
        pause: float | None = 0.0,
        error: Exception | None = None,
        state: EngineState = EngineState("ready"),  # noqa: B008 - it is frozen
    ) -> None:
        self._texts = texts
        self._pause = pause
        self._error = error
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
        return _tokenizer_with(tuple(self._texts))

    def generate(self, request: GenerationRequest, receiver: Receiver) -> Generation:
        self._running += 1
        return GenerationTask(receiver, partial(self._play, request), self._leave)

    async def _play(self, request: GenerationRequest, task: GenerationTask) -> None:
        plain = _v1()
        texts = range(len(plain.pieces), len(plain.pieces) + len(self._texts))
        tokens, finish = truncate_answer([*texts, plain.eos], request.max_tokens)
        for number, token in enumerate(tokens, 1):
            if self._pause is not None and token != plain.eos:
                await asyncio.sleep(self._pause)
            if self._error and token == plain.eos:
                raise self._error
            await task.push((token,), finish if number == len(tokens) else None)

    def _leave(self) -> None:
        self._running -= 1

    async def close(self) -> None:
        pass


class SwappedStub(StubEngine):
    """A swappable engine that loads and answers when a test allows it, and records its calls.

    With `sleeps` it gives its memory back by sleeping. `awake` is the set of stubs that hold
    memory, which the stubs of a test may share.
    """

    def __init__(self, *, sleeps: bool = False, awake: "set[SwappedStub] | None" = None) -> None:
        super().__init__(["yes"], state=EngineState("cold"))
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
        return _tokenizer_with(tuple(self._texts))

    def check(self, request: GenerationRequest) -> None:
        check_request(request, 1_000)

    def generate(self, request: GenerationRequest, receiver: Receiver) -> Generation:
        self._state.check_ready()
        return super().generate(request, receiver)

    async def _play(self, _: GenerationRequest, task: GenerationTask) -> None:
        await self.may_answer.wait()
        if self._error:
            raise self._error
        await task.push((len(_v1().pieces),), "stop")  # "yes"

    async def close(self) -> None:
        self.done.append("ends")


@cache
def _v1() -> Tokenizer:
    return load_tokenizer("v1")


@cache
def _tokenizer_with(texts: tuple[str, ...]) -> Tokenizer:
    """Return the tokenizer v1 with an additional token for each of these texts."""
    tokenizer = copy(_v1())
    pieces = tuple(map(str.encode, texts))
    tokenizer.pieces += pieces
    tokenizer.spelled += pieces
    return tokenizer
