"""Text generation by somebody else's server: a vLLM fleet, Ray Serve, llama.cpp, Ollama."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing, suppress
from functools import partial

from engine.errors import (
    ChatRefused,
    EngineBusy,
    EngineDead,
    EngineError,
    EngineTimeout,
    RequestRefused,
    SchemaRefused,
)
from engine.generation_task import Production
from engine.protocol import (
    EngineState,
    Generation,
    GenerationRequest,
    Limits,
    Receiver,
    check_request,
)
from engine.remote.completions import NoAnswer, Step, Unfit, encode_body
from engine.remote.server import Connections, Server
from engine.remote.tokens import Batch, merge, read_ids, read_text
from engine.tokenization.tokenizer import Tokenizer, load_tokenizer
from engine.vllm.structured_outputs import to_held

log = logging.getLogger(__name__)

KNOCKING = 0.5  # seconds between two looks at a server that is not there
WATCHING = 5.0  # and at one that is, and may have gone while nobody called
FETCHING = 15.0  # and between two tries to get a tokenizer that is not there; the hub is not ours
LONG_PROMPT = 8_192  # tokens; what has more is written as text in a thread: some 2 ms of work
LONG_TEXT = 8_192  # characters of one event; what has more is read in a thread: up to 8 ms of work


class RemoteEngine:
    """One model on an OpenAI-compatible server.

    `tokenizer` is a version of Mistral's, the one that the model there was trained with; Tekken
    comes out of `weights`. `limits` end in `EngineBusy` and `EngineTimeout`; between two tokens, no
    more time may pass than before the first.

    With token ids, all that `VllmEngine` promises holds, but for images and audio, which are
    refused: that way has no place for them. Without, the server reads the text of a prompt with its
    own tokenizer and puts the BOS in front. What it says is counted by ours, chunk by chunk, which
    may differ by some tokens from its own count, by which it keeps `max_tokens`; no answer is held
    to a schema, or to calls of tools, and log probabilities are refused.
    """

    name = "remote"

    def __init__(
        self,
        *,
        server: Server,
        weights: str,
        tokenizer: str,
        context_length: int,
        limits: Limits = Limits(),  # noqa: B008 - it is frozen
    ) -> None:
        self._server = server
        self._weights = weights
        self._tokenizer_name = tokenizer
        self._tokenizer: Tokenizer | None = None
        self._context_length = self._window = context_length
        self._limits = limits
        self._connections: Connections | None = None
        self._running = 0
        self._watching: asyncio.Task[None] | None = None
        self._doubt = asyncio.Event()  # a call has failed: it is time for a look
        self._state = EngineState("cold")

    async def start(self) -> None:
        self._state = EngineState("loading")
        await self._begin()
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())

    async def _begin(self) -> None:
        if missing := await self._open():
            self._fail(missing)
            return
        seconds = self._server.start_seconds
        waiting: str | None = None
        try:
            async with asyncio.timeout(seconds):
                while reason := await self._wait():
                    if reason != waiting:
                        log.info("waiting for %s: %s", self._server.url, reason)
                    waiting = reason
                    await asyncio.sleep(KNOCKING)
        except Unfit as error:
            self._fail(self._of_server(error))
        except TimeoutError:
            self._fail(self._of_server(f"{waiting or 'no answer'}, for {seconds:g} s"))

    def state(self) -> EngineState:
        return self._state

    def running(self) -> int:
        return self._running

    def tokenizer(self) -> Tokenizer:
        self._state.check_ready()
        assert self._tokenizer is not None
        return self._tokenizer

    def generate(self, request: GenerationRequest, receiver: Receiver) -> Generation:
        tokenizer = self.tokenizer()
        request = check_request(request, self._window)
        self._refuse(request)
        assert self._connections is not None
        push_all = partial(self._push_all, self._connections, request, tokenizer)
        self._running += 1
        return Production(receiver, push_all, self._leave)

    def _leave(self) -> None:
        self._running -= 1

    async def _push_all(
        self,
        connections: Connections,
        request: GenerationRequest,
        tokenizer: Tokenizer,
        production: Production,
    ) -> None:
        left = request.max_tokens
        try:
            bodies = await self._encode(request, tokenizer)
            async with aclosing(connections.complete(bodies, request)) as answer:
                async with asyncio.timeout(self._limits.first_token_seconds):
                    steps = await anext(answer)
                while True:  # the last has a finish, or there is an error in its place
                    tokens, finish, rows = await self._read(steps, request, tokenizer, left)
                    left -= len(tokens)
                    if finish:
                        break
                    if tokens:
                        await production.push(tokens, None, rows)
                    steps = await anext(answer)
            await production.push(tokens, finish, rows)  # its connection is free by now
        except TimeoutError as error:
            raise EngineTimeout("no token came in time") from error
        except EngineDead as error:
            log.warning("%s: %s", self._server.url, error)
            self._doubt.set()
            raise
        except NoAnswer as error:
            raise self._give_up(error) from error

    async def close(self) -> None:
        if self._watching:
            self._watching.cancel()
            self._watching = None
        connections, self._connections = self._connections, None
        self._state = EngineState("cold")
        if connections:
            await connections.close()

    async def _open(self) -> str | None:
        """Why there is no tokenizer; None once there is one, and connections with it."""
        if self._connections is None:
            try:
                self._tokenizer, self._connections = await asyncio.to_thread(self._build)
            except Exception as error:  # noqa: BLE001 - whatever the hub, a folder or its files are at fault for
                return f"no tokenizer {self._tokenizer_name!r}: {error}"
        return None

    def _build(self) -> tuple[Tokenizer, Connections]:
        tokenizer = load_tokenizer(self._tokenizer_name, self._weights)
        return tokenizer, Connections(self._server, self._limits)

    async def _wait(self) -> str | None:
        """Why the server can't be used yet; where it can, all is ready then. Raises `Unfit`."""
        try:
            await self._look()
        except NoAnswer as error:
            return str(error)
        return None

    async def _look(self) -> None:
        """All is ready then. Raises `Unfit`, `NoAnswer`."""
        assert self._connections is not None
        window = await self._connections.look()
        if window and window < self._window:
            log.warning("%s takes %d tokens, not %d", self._server.url, window, self._window)
        self._window = min(window or self._context_length, self._context_length)
        self._state = EngineState("ready")

    def _of_server(self, reason: object) -> str:
        return f"{self._server.url}: {reason}"

    def _fail(self, reason: str) -> None:
        """Refuse all calls, until the tokenizer and the server are there."""
        self._state = EngineState("failed", reason)

    async def _watch(self) -> None:
        """Behind a balancer there is always somebody to connect to: only a look tells."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._doubt.wait()
            self._doubt.clear()
            if missing := await self._open():
                self._fail(missing)
            else:
                await self._look_again(was_ready=self._state.status == "ready")

    def _pause(self) -> float:
        if self._state.status == "ready":
            return WATCHING
        return KNOCKING if self._connections else FETCHING

    async def _look_again(self, *, was_ready: bool) -> None:
        try:
            await self._look()
        except Unfit as error:
            self._fail(self._of_server(error))
        except NoAnswer as error:
            if was_ready and not error.is_lost:
                return  # it is slow
            if was_ready:
                log.warning("%s: %s", self._server.url, error)
            self._fail(self._of_server(error))
        else:
            if not was_ready:
                log.info("%s can be used", self._server.url)

    def _refuse(self, request: GenerationRequest) -> None:
        if request.images:
            raise ChatRefused("The model can't be sent an image where it runs.")
        if request.audio:
            raise ChatRefused("The model can't be sent audio where it runs.")
        if not self._server.token_ids:
            if request.must_call:
                raise SchemaRefused("The model can't be held to calls of tools where it runs.")
            if request.is_held:
                raise SchemaRefused("The model can't hold an answer to a schema where it runs.")
            if request.top_logprobs is not None:
                raise RequestRefused("The model can't tell log probabilities where it runs.")
        if self._running >= self._limits.calls:
            raise EngineBusy(f"{self._limits.calls} calls run or wait already")

    async def _encode(self, request: GenerationRequest, tokenizer: Tokenizer) -> list[bytes]:
        """Return the body of the request, or several to be tried in turn, as `to_held` says."""
        model = request.adapter.name if request.adapter else self._server.model
        if self._server.token_ids:
            style = tokenizer.chat.calls_style if request.must_call else ""
            prompt, eos = request.prompt, tokenizer.eos
            return [
                encode_body(request, model=model, prompt=prompt, eos=eos, held=held)
                for held in to_held(request, style)
            ]
        if len(request.prompt) > LONG_PROMPT:
            text = await asyncio.to_thread(tokenizer.to_prompt, request.prompt)
        else:
            text = tokenizer.to_prompt(request.prompt)
        return [encode_body(request, model=model, prompt=text, eos=None)]

    def _give_up(self, error: NoAnswer) -> EngineError:
        log.warning("%s: %s", self._server.url, error)
        if error.is_lost:
            self._fail(self._of_server(error))
        self._doubt.set()
        return error.error

    async def _read(
        self, steps: Sequence[Step], request: GenerationRequest, tokenizer: Tokenizer, left: int
    ) -> Batch:
        read = read_ids if self._server.token_ids else read_text
        if any(len(step.text) > LONG_TEXT for step in steps):
            return await asyncio.to_thread(merge, steps, read, request, tokenizer, left)
        return merge(steps, read, request, tokenizer, left)
