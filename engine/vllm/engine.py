"""An engine on vLLM's `AsyncLLM` and its engine cores.

vLLM is imported inside functions, because that takes many seconds and much memory.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from time import monotonic
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from engine.errors import EngineBusy, EngineDead, EngineTimeout
from engine.lifecycle.deadlines import Deadlines
from engine.lifecycle.loading import freeze_once, in_thread
from engine.protocol import (
    EngineLimits,
    EngineState,
    Generation,
    GenerationRequest,
    Receiver,
    check_request,
)
from engine.tokenization.mistral_files import is_with_weights
from engine.tokenization.tokenizer import Tokenizer, load_tokenizer
from engine.vllm.adapters import Adapters
from engine.vllm.cores import HANDSHAKE_ENVIRONMENT, SharedCores
from engine.vllm.dtype import fit_dtype
from engine.vllm.errors import explain
from engine.vllm.health_check import HealthCheck
from engine.vllm.leftovers import LEFTOVERS
from engine.vllm.metrics import forget, stat_loggers
from engine.vllm.options import (
    SHUTDOWN_TIMEOUT,
    claim_folder,
    engine_arguments,
    set_environment,
    tell_import,
    tell_times,
)
from engine.vllm.outputs import CURRENT_GENERATION, TokenOutputs, VllmGeneration
from engine.vllm.processes import ProcessTree, cores_of, kill_cores
from engine.vllm.requests import add_request

if TYPE_CHECKING:
    from vllm.v1.engine.async_llm import AsyncLLM

log = logging.getLogger(__name__)

SLEEP_TIMEOUT = 60.0  # guess: copying 100 GB of weights takes less


class VllmEngine:
    """One checkpoint on vLLM.

    - `weights` is called in the loading thread and returns a folder or a hub id.
    - `tokenizer` is the version of Mistral's tokenizer that the weights were trained with; a Tekken
      is read from the weights, and so is `byte-level`, for a model that is not Mistral's.
    - `options` are vLLM's engine arguments by vLLM's names; `environment` is for its processes.
    - Exceeded `limits` raise `EngineBusy` and `EngineTimeout`.
    - With `cores`, another process runs the engine cores, and this engine is a front end of them.
    - `adapt` may change each request before vLLM gets it.
    """

    name = "vllm"

    def __init__(
        self,
        *,
        weights: Callable[[], str],
        tokenizer: str,
        context_length: int,
        options: Mapping[str, Any],
        environment: Mapping[str, str] = MappingProxyType({}),
        limits: EngineLimits = EngineLimits(),  # noqa: B008 - it is frozen
        cores: SharedCores | None = None,
        adapt: Callable[[GenerationRequest], GenerationRequest] = lambda request: request,
    ) -> None:
        self._cores = cores
        self._adapt = adapt
        self._limits = limits
        self._weights = weights
        self._tokenizer_name = tokenizer
        self._tokenizer: Tokenizer | None = None
        self._tokenizer_lock = threading.Lock()
        self._context_length = context_length
        self._options = options
        self._environment = environment
        self._llm: AsyncLLM | None = None
        self._adapters = Adapters(options)
        self._abandoned = False
        self._running = 0
        self._aborting: set[asyncio.Task[None]] = set()
        self._deadlines = Deadlines()
        self._health_check: HealthCheck | None = None
        self._tree: ProcessTree | None = None  # unless another process runs the cores
        self._state = EngineState("cold")

    async def start(self) -> None:
        if self.state().status == "asleep":
            await self._wake()
            return
        if self._llm is not None:  # its core has died
            await self.close()
        self._abandoned = False
        self._state = EngineState("loading")
        # Shielded, because `close` waits until the load has ended: a load must run even if the task
        # that awaits it is cancelled before it begins.
        await asyncio.shield(in_thread(self._load))
        if self._llm is not None:
            self._health_check = HealthCheck(
                self._llm,
                self._limits,
                self._tree,
                is_ready=lambda: self.state().status == "ready",
                on_silent=self._cores.on_silent if self._cores else lambda: None,
                on_hung=self._note_hung,
            )

    def state(self) -> EngineState:
        if self._state.status != "failed" and self._llm is not None and self._llm.errored:
            return EngineState("failed", "vLLM's engine core has died; its log says why")
        return self._state

    def running(self) -> int:
        return self._running

    def tokenizer(self) -> Tokenizer:
        self.state().check_ready()
        assert self._tokenizer is not None
        return self._tokenizer

    def read_tokenizer(self) -> Tokenizer:
        try:
            return self._read_tokenizer()
        except Exception as error:  # the hub and the files raise many kinds
            raise EngineDead(explain(error)) from error

    def check(self, request: GenerationRequest) -> None:
        check_request(request, self._context_length)

    def generate(self, request: GenerationRequest, receiver: Receiver) -> Generation:
        tokenizer, request = self.tokenizer(), check_request(request, self._context_length)
        if self._running >= self._limits.calls:
            raise EngineBusy(f"{self._limits.calls} calls run or wait already")
        llm = self._llm
        assert llm is not None
        self._running += 1
        generation = VllmGeneration(receiver, partial(self._leave, llm))
        generation.adding = asyncio.create_task(self._add(llm, request, tokenizer, generation))
        return generation

    async def _add(
        self,
        llm: "AsyncLLM",
        request: GenerationRequest,
        tokenizer: Tokenizer,
        generation: VllmGeneration,
    ) -> None:
        CURRENT_GENERATION.set(generation)
        try:
            async with self._deadlines.open(self._limits.first_token_seconds):
                lora = await self._adapters.load(llm, request.adapter)
                await add_request(llm, self._adapt(request), tokenizer, lora)
        except TimeoutError:
            generation.fail(EngineTimeout("no token came in time"))
        except Exception as error:  # noqa: BLE001 - the receiver gets it
            generation.fail(error)

    def _leave(self, llm: "AsyncLLM", generation: VllmGeneration) -> None:
        self._running -= 1
        if generation.request_id and not generation.is_done:
            aborting = asyncio.create_task(llm.abort(generation.request_id, internal=True))
            self._aborting.add(aborting)
            aborting.add_done_callback(self._aborting.discard)

    def _note_hung(self, reason: str) -> None:
        self._state = EngineState("failed", f"vLLM's engine core hangs: {reason}")
        self._deadlines.end()

    async def release(self) -> None:
        if self.state().status != "ready" or not self._options.get("enable_sleep_mode"):
            await self.close()
            return
        assert self._llm is not None
        self._state = EngineState("asleep")
        try:
            async with asyncio.timeout(SLEEP_TIMEOUT):
                await asyncio.gather(*self._aborting)
                await self._llm.sleep(level=1)  # moves weights to main memory, drops the KV cache
        except Exception:  # vLLM raises many kinds
            log.warning("vLLM could not sleep and is closed", exc_info=True)
            await self.close()

    async def _wake(self) -> None:
        assert self._llm is not None
        try:
            async with asyncio.timeout(SLEEP_TIMEOUT):
                await self._llm.wake_up()
        except Exception as error:  # vLLM raises many kinds, and all are fatal
            log.debug("vLLM did not wake", exc_info=True)
            await self.close()
            self._state = EngineState("failed", explain(error))
        else:
            self._state = EngineState("ready")

    async def close(self) -> None:
        if self._health_check:
            self._health_check.close()
            self._health_check = None
        if self._state.status == "loading":
            await self._abandon_load()
        llm, self._llm = self._llm, None
        self._state = EngineState("cold")
        self._deadlines.end()
        if llm is None:
            return
        forget(llm)
        if llm.output_handler is not None:
            llm.output_handler.cancel()  # else it reports the end of its core as a crash
            # Fail the calls that still wait for a token, as vLLM itself would have done.
            llm.output_processor.propagate_error(EngineDead("the engine is closed"))
        await in_thread(partial(self._shut_down, llm))
        await in_thread(LEFTOVERS.sweep)  # not before: vLLM closes sockets in this loop

    def _shut_down(self, llm: "AsyncLLM") -> None:
        llm.shutdown(timeout=SHUTDOWN_TIMEOUT)
        if self._tree:  # stopped workers outlive their core
            self._tree.end()

    async def _abandon_load(self) -> None:
        # A thread can't be cancelled, but the loading thread ends when the processes that it waits
        # for are killed; it may still start some, hence the loop. This kills the processes of other
        # engines that are loading, too: vLLM does not tell them apart.
        self._abandoned = True
        if self._cores:
            self._cores.lost("the service is shutting down")
        while self._state.status == "loading":
            kill_cores()
            await asyncio.sleep(0.1)

    def _load(self) -> None:
        try:
            if not self._abandoned:
                self._open()
        except Exception as error:  # vLLM raises many kinds, and all are fatal
            log.debug("vLLM did not start", exc_info=True)
            state = EngineState("failed", explain(error))
        else:
            state = EngineState("ready")
        # ZeroMQ closes sockets in threads of its own, so those of an engine that was closed before
        # may have been bound still when that one was swept.
        LEFTOVERS.sweep()
        self._state = state

    def _open(self) -> None:
        set_environment({**self._environment, **(HANDSHAKE_ENVIRONMENT if self._cores else {})})
        if not self._cores:
            claim_folder()
        began = monotonic()
        weights = self._weights()
        self._read_tokenizer()
        found = monotonic()
        tell_import(weights)

        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.usage.usage_lib import UsageContext
        from vllm.v1.engine.async_llm import AsyncLLM

        from engine.vllm.client import read_outputs  # it imports pyzmq, a dependency of vLLM

        imported = monotonic()
        if self._abandoned:
            return
        arguments = fit_dtype(engine_arguments(weights, self._context_length, self._options))
        log.info("%s: starting vLLM's processes", Path(weights).name)
        # Only self may refer to it: frames that vLLM's imports leave behind would keep a local
        # variable or a return value until Python ends, where AsyncLLM.__del__ fails.
        if self._cores:
            self._llm = self._cores.open(arguments)
        else:
            # vLLM derives its default batch sizes from the usage context.
            with LEFTOVERS.noting():
                self._llm = AsyncLLM.from_engine_args(
                    AsyncEngineArgs(**arguments),
                    usage_context=UsageContext.OPENAI_API_SERVER,
                    stat_loggers=stat_loggers(arguments),
                )
            resources: Any = self._llm.engine_core.resources
            parallel = self._llm.vllm_config.parallel_config
            self._tree = cores_of(resources.engine_manager, parallel)
        self._llm.output_processor = TokenOutputs(self._llm.output_processor)
        read_outputs(self._llm)
        freeze_once()
        tell_times(weights, found - began, imported - found, monotonic() - imported)
        if self._abandoned:
            self._llm.shutdown()

    def _read_tokenizer(self) -> Tokenizer:
        if self._tokenizer is None:
            with self._tokenizer_lock:
                is_there = is_with_weights(self._tokenizer_name)
                weights = self._weights() if is_there else None
                self._tokenizer = self._tokenizer or load_tokenizer(self._tokenizer_name, weights)
        return self._tokenizer
