"""An engine that sends requests to another server: a vLLM fleet, Ray Serve, llama.cpp, Ollama."""

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
)
from engine.generation_task import GenerationTask
from engine.protocol import (
    EngineLimits,
    EngineState,
    Generation,
    GenerationRequest,
    Receiver,
    check_request,
)
from engine.remote.completions import (
    ServerUnavailable,
    ServerUnusable,
    Step,
    encode_body,
    refuse_without_ids,
)
from engine.remote.server import ConnectionPool, RemoteServer
from engine.remote.tokens import IdReader, StepReader, TextReader
from engine.text_tokens import TokenBatch
from engine.tokenization.tokenizer import Tokenizer, load_tokenizer
from engine.vllm.structured_outputs import to_structured_outputs

log = logging.getLogger(__name__)

# Between two probes of a server that is down, and of one that is up: it may fail without a call.
RECONNECT_SECONDS = 0.5
PROBE_SECONDS = 5.0
# Between two attempts to load the tokenizer, which may be a request to the hub.
TOKENIZER_RETRY_SECONDS = 15.0
# Longer prompts are decoded, and longer events encoded, in a thread: some 2 and 8 ms of work.
LONG_PROMPT_TOKENS = 8_192
LONG_EVENT_CHARACTERS = 8_192


class RemoteEngine:
    """One model on an OpenAI-compatible server.

    `tokenizer` is the version of Mistral's tokenizer that the model was trained with; a Tekken is
    read from `weights`. Exceeded `limits` raise `EngineBusy` and `EngineTimeout`;
    `first_token_seconds` bounds the time between two tokens, too.

    If the server takes token ids, this engine does what `VllmEngine` does, except for images and
    audio, which are refused: the completions API has no field for them. Otherwise the server
    encodes the prompt's text with its own tokenizer, and adds the BOS. This engine counts the
    answer's tokens chunk by chunk, so the count may differ by some tokens from the server's own,
    which applies `max_tokens`. Schemas, forced calls and log probabilities are refused then.
    """

    name = "remote"

    def __init__(
        self,
        *,
        server: RemoteServer,
        weights: str,
        tokenizer: str,
        context_length: int,
        limits: EngineLimits = EngineLimits(),  # noqa: B008 - it is frozen
    ) -> None:
        self._server = server
        self._weights = weights
        self._tokenizer_name = tokenizer
        self._tokenizer: Tokenizer | None = None
        self._context_length = self._window = context_length
        self._limits = limits
        self._connections: ConnectionPool | None = None
        self._running = 0
        self._monitoring: asyncio.Task[None] | None = None
        self._probe_now = asyncio.Event()  # set after a failed call
        self._state = EngineState("cold")

    async def start(self) -> None:
        self._state = EngineState("loading")
        await self._begin()
        if self._monitoring is None:
            self._monitoring = asyncio.create_task(self._monitor())

    async def _begin(self) -> None:
        if missing := await self._open():
            self._fail(missing)
            return
        seconds = self._server.start_seconds
        waiting: str | None = None
        try:
            async with asyncio.timeout(seconds):
                while reason := await self._find_outage():
                    if reason != waiting:
                        log.info("waiting for %s: %s", self._server.url, reason)
                    waiting = reason
                    await asyncio.sleep(RECONNECT_SECONDS)
        except ServerUnusable as error:
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
        return GenerationTask(receiver, push_all, self._leave)

    def _leave(self) -> None:
        self._running -= 1

    async def _push_all(
        self,
        connections: ConnectionPool,
        request: GenerationRequest,
        tokenizer: Tokenizer,
        task: GenerationTask,
    ) -> None:
        to_reader = IdReader if self._server.token_ids else TextReader
        reader: StepReader = to_reader(tokenizer, request)
        try:
            bodies = await self._encode(request, tokenizer)
            async with aclosing(connections.complete(bodies, request)) as answer:
                async with asyncio.timeout(self._limits.first_token_seconds):
                    steps = await anext(answer)
                while True:  # ends with a finish, or with an error
                    tokens, finish, rows = await _read(reader, steps)
                    if finish:
                        break
                    if tokens:
                        await task.push(tokens, None, rows)
                    steps = await anext(answer)
            await task.push(tokens, finish, rows)  # the connection is released by now
        except TimeoutError as error:
            raise EngineTimeout("no token came in time") from error
        except EngineDead as error:
            log.warning("%s: %s", self._server.url, error)
            self._probe_now.set()
            raise
        except ServerUnavailable as error:
            raise self._to_engine_error(error) from error

    async def close(self) -> None:
        if self._monitoring:
            self._monitoring.cancel()
            self._monitoring = None
        connections, self._connections = self._connections, None
        self._state = EngineState("cold")
        if connections:
            await connections.close()

    async def _open(self) -> str | None:
        """Load the tokenizer and open the connections. Return why that failed, or None."""
        if self._connections is None:
            try:
                self._tokenizer, self._connections = await asyncio.to_thread(self._build)
            except Exception as error:  # noqa: BLE001 - the hub and the files raise many kinds
                return f"the tokenizer {self._tokenizer_name!r} could not be loaded: {error}"
        return None

    def _build(self) -> tuple[Tokenizer, ConnectionPool]:
        tokenizer = load_tokenizer(self._tokenizer_name, self._weights)
        return tokenizer, ConnectionPool(self._server, self._limits)

    async def _find_outage(self) -> str | None:
        """Return why the server can't be used yet, or None once the engine is ready.

        Raises `ServerUnusable`.
        """
        try:
            await self._probe()
        except ServerUnavailable as error:
            return str(error)
        return None

    async def _probe(self) -> None:
        """Make the engine ready. Raises `ServerUnusable` and `ServerUnavailable`."""
        assert self._connections is not None
        window = await self._connections.probe()
        if window and window < self._window:
            log.warning(
                "%s has a context of %d tokens, not %d", self._server.url, window, self._window
            )
        self._window = min(window or self._context_length, self._context_length)
        self._state = EngineState("ready")

    def _of_server(self, reason: object) -> str:
        return f"{self._server.url}: {reason}"

    def _fail(self, reason: str) -> None:
        """Refuse all calls until a later probe succeeds."""
        self._state = EngineState("failed", reason)

    async def _monitor(self) -> None:
        """Probe the server regularly, and at once after a call has failed.

        A load balancer accepts connections while its servers are down, so connecting is no proof.
        """
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._probe_now.wait()
            self._probe_now.clear()
            if missing := await self._open():
                self._fail(missing)
            else:
                await self._probe_again(was_ready=self._state.status == "ready")

    def _pause(self) -> float:
        if self._state.status == "ready":
            return PROBE_SECONDS
        return RECONNECT_SECONDS if self._connections else TOKENIZER_RETRY_SECONDS

    async def _probe_again(self, *, was_ready: bool) -> None:
        try:
            await self._probe()
        except ServerUnusable as error:
            self._fail(self._of_server(error))
        except ServerUnavailable as error:
            if was_ready and not error.is_lost:
                return  # the server is only slow
            if was_ready:
                log.warning("%s: %s", self._server.url, error)
            self._fail(self._of_server(error))
        else:
            if not was_ready:
                log.info("%s is available", self._server.url)

    def _refuse(self, request: GenerationRequest) -> None:
        if request.images:
            raise ChatRefused("The model can't be sent an image where it runs.")
        if request.audio:
            raise ChatRefused("The model can't be sent audio where it runs.")
        if request.prompt_logprobs is not None:
            raise RequestRefused(
                "The model can't tell log probabilities of a prompt where it runs."
            )
        if not self._server.token_ids:
            refuse_without_ids(request)
        if self._running >= self._limits.calls:
            raise EngineBusy(f"{self._limits.calls} calls run or wait already")

    async def _encode(self, request: GenerationRequest, tokenizer: Tokenizer) -> list[bytes]:
        """Return the bodies to try in turn, one for each of `to_structured_outputs`."""
        model = request.adapter.name if request.adapter else self._server.model
        if self._server.token_ids:
            style = tokenizer.chat.calls_style if request.must_call else ""
            prompt, eos = request.prompt, tokenizer.eos
            return [
                encode_body(request, model=model, prompt=prompt, eos=eos, structured=structured)
                for structured in to_structured_outputs(request, style)
            ]
        if len(request.prompt) > LONG_PROMPT_TOKENS:
            text = await asyncio.to_thread(tokenizer.to_prompt, request.prompt)
        else:
            text = tokenizer.to_prompt(request.prompt)
        return [encode_body(request, model=model, prompt=text, eos=None)]

    def _to_engine_error(self, error: ServerUnavailable) -> EngineError:
        log.warning("%s: %s", self._server.url, error)
        if error.is_lost:
            self._fail(self._of_server(error))
        self._probe_now.set()
        return error.error


async def _read(reader: StepReader, steps: Sequence[Step]) -> TokenBatch:
    if any(len(step.text) > LONG_EVENT_CHARACTERS for step in steps):
        return await asyncio.to_thread(reader.read, steps)
    return reader.read(steps)
