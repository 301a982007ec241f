"""vLLM's engine cores in one process, their front ends in several others.

It is what vLLM's own server does with `--api-server-count`: each front end binds two sockets, to
which the cores connect, and is told which of how many it is.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from engine.errors import EngineDead
from engine.protocol import Limits
from engine.vllm.errors import explain
from engine.vllm.leftovers import LEFTOVERS
from engine.vllm.metrics import stat_loggers
from engine.vllm.options import SHUTDOWN_TIMEOUT, claim_folder, engine_arguments, set_environment
from engine.vllm.processes import Family, cores_of
from engine.vllm.pulse import Pulse

if TYPE_CHECKING:
    from vllm.v1.engine.async_llm import AsyncLLM


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """Where a front end and the cores meet; `stats` only with data parallelism."""

    inputs: str
    outputs: str
    stats: str | None


class VllmCores:
    """The cores of one checkpoint, with the arguments of `VllmEngine`. All of it blocks.

    Raises `EngineDead` for cores that Ray would run.
    """

    def __init__(
        self,
        *,
        weights: Callable[[], str],
        context_length: int,
        options: Mapping[str, Any],
        environment: Mapping[str, str],
        front_ends: int,
        limits: Limits = Limits(),  # noqa: B008 - it is frozen
    ) -> None:
        if options.get("data_parallel_backend") == "ray":
            # vLLM's (0.32) manager of them has nothing to wait for that tells of their deaths.
            raise EngineDead(
                "data_parallel_backend: ray needs one front end: serve without --workers"
            )
        self._weights = weights
        self._context_length = context_length
        self._options = options
        self._environment = environment
        self._count = front_ends
        self._limits = limits
        self._pulse = Pulse(limits)
        self._family: Family | None = None
        self._manager: Any = None
        self._coordinator: Any = None
        self._is_started = False

    def start(self) -> list[FrontEnd]:
        """Returns once the weights are loaded. Raises `EngineDead`.

        Once closed, they can be started again: others, which are met elsewhere.
        """
        try:
            return self._start()
        except Exception as error:  # vLLM raises many kinds, and all are fatal
            self.close()
            raise EngineDead(explain(error)) from error

    def _start(self) -> list[FrontEnd]:
        set_environment(self._environment)
        claim_folder()
        began = monotonic()
        weights = self._weights()
        arguments = engine_arguments(weights, self._context_length, self._options)
        found = monotonic()

        from vllm.v1.engine.utils import launch_core_engines
        from vllm.v1.executor.abstract import Executor

        imported = monotonic()
        config = create_config(arguments, count=self._count, index=-1)
        addresses = _find_addresses(config.parallel_config, self._count)
        executor = Executor.get_class(config)
        log_stats = not arguments["disable_log_stats"]
        with (
            LEFTOVERS.noting(),
            launch_core_engines(config, executor, log_stats, addresses) as launch,
        ):
            # A tuple in vLLM 0.26, no more in 0.32.
            is_tuple = isinstance(launch, tuple)
            self._manager = launch[0] if is_tuple else launch.engine_manager
            self._coordinator = launch[1] if is_tuple else launch.coordinator
        self._is_started = True
        self._family = cores_of(self._manager, config.parallel_config)
        self._pulse = Pulse(self._limits)
        log.info(
            "%s: %.1f s to find the weights, %.1f s to import vLLM, %.1f s to start its cores",
            Path(weights).name,
            found - began,
            imported - found,
            monotonic() - imported,
        )
        coordinator = self._coordinator
        stats = coordinator.get_stats_publish_address() if coordinator else None
        pairs = zip(addresses.inputs, addresses.outputs, strict=True)
        return [FrontEnd(inputs, outputs, stats) for inputs, outputs in pairs]

    def sentinels(self) -> list[Any]:
        """To wait for: one is ready when a core, or their coordinator, has ended.

        Empty unless they run.
        """
        if not self._is_started:
            return []
        coordinators = [self._coordinator.proc.sentinel] if self._coordinator else []
        # With `data_parallel_size_local: 0` all cores run on other machines.
        return [*(self._manager.sentinels() if self._manager else ()), *coordinators]

    def judge(self, elapsed: float, *, is_silent: bool) -> str | None:
        """Return why a core hangs, if one does, as `Pulse.judge` does."""
        if not self._family:
            return None
        return self._pulse.judge(elapsed, self._family.look(), is_silent=is_silent)

    def kill(self) -> None:
        """At once, for one that hangs hears nothing; `sentinels` tell of it."""
        if self._family:
            self._family.kill()

    def close(self) -> None:
        parts = self._manager, self._coordinator
        self._manager = self._coordinator = None
        self._is_started = False
        for part in parts:
            if part:
                part.shutdown(timeout=SHUTDOWN_TIMEOUT)
        self.kill()  # workers that outlive their core, for they are stopped
        self._family = None
        LEFTOVERS.sweep()


# For one of several front ends: the cores are there when it is told of them. If they end just then,
# vLLM's ten minutes would pass before it could meet the next.
GREETING = {"VLLM_ENGINE_READY_TIMEOUT_S": "60"}
NEWS_PATIENCE = 30.0  # seconds in which one that fails hears whether the cores have failed, too


class CoresElsewhere:
    """Cores that another process runs, as front end `index` of `count` learns of them.

    `found` is called for each set of cores that starts, `lost` when one did not start or has ended,
    by whoever hears of it, in any thread; `on_open` is called when it has met them, `on_broken`
    when it would have to meet the same ones again: cores greet a front end once only.
    """

    def __init__(
        self,
        index: int,
        count: int,
        on_open: Callable[[], None],
        on_broken: Callable[[], None],
        on_silent: Callable[[], None] = lambda: None,
    ) -> None:
        self.on_silent = on_silent
        self._index = index
        self._count = count
        self._on_open = on_open
        self._on_broken = on_broken
        self._heard = threading.Condition()
        # The last of it, until `open` has taken it: where they are met, or why they are not.
        self._news: FrontEnd | EngineDead | None = None
        self._has_met = False
        self._llm: AsyncLLM | None = None

    def found(self, front_end: FrontEnd) -> None:
        with self._heard:
            self._news = front_end
            self._heard.notify_all()

    def lost(self, reason: str) -> None:
        """All calls end with `EngineDead`; the next cores can be met."""
        with self._heard:
            had_met, self._has_met = self._has_met, False
            if had_met and self._llm:
                take_for_dead(self._llm)
            else:
                self._news = EngineDead(reason)
                self._heard.notify_all()

    def open(self, arguments: Mapping[str, Any]) -> "AsyncLLM":
        """Blocks until there is news of them. Raises `EngineDead`, and what vLLM raises."""
        from vllm.v1.engine.async_llm import AsyncLLM

        config = create_config(arguments, count=self._count, index=self._index)
        self._llm = None
        front_end = self._wait()
        addresses = {"input_address": front_end.inputs, "output_address": front_end.outputs}
        if front_end.stats:
            addresses["stats_update_address"] = front_end.stats
        self._llm = AsyncLLM.from_vllm_config(
            config,
            disable_log_stats=arguments["disable_log_stats"],
            stat_loggers=stat_loggers(arguments),
            client_addresses=addresses,
            client_count=self._count,
            client_index=self._index,
        )
        with self._heard:
            if not self._has_met:  # they were lost while it was being made
                self._news = None if isinstance(self._news, EngineDead) else self._news
                take_for_dead(self._llm)
                return self._llm
        self._on_open()
        return self._llm

    def _wait(self) -> FrontEnd:
        with self._heard:
            # A front end may hear of their end from vLLM before it does from who runs them.
            if self._has_met and not self._heard.wait_for(self._has_news, NEWS_PATIENCE):
                self._on_broken()
                raise EngineDead("this front end has lost vLLM's cores, which greet it once only")
            self._heard.wait_for(self._has_news)
            news, self._news = self._news, None
            assert news, "it has been waited for"
            if isinstance(news, EngineDead):
                raise news
            self._has_met = True
            return news

    def _has_news(self) -> bool:
        return self._news is not None


def create_config(arguments: Mapping[str, Any], *, count: int, index: int) -> Any:  # noqa: ANN401 - vLLM's VllmConfig
    """What `VllmEngine` has vLLM make of them, for one of several front ends."""
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.usage.usage_lib import UsageContext

    engine_args = AsyncEngineArgs(**arguments)
    engine_args._api_process_count = count  # noqa: SLF001 - as vLLM's server sets them
    engine_args._api_process_rank = index  # noqa: SLF001 - as above
    return engine_args.create_engine_config(UsageContext.OPENAI_API_SERVER)


def _find_addresses(parallel: Any, count: int) -> Any:  # noqa: ANN401 - vLLM's ParallelConfig and EngineZmqAddresses
    """Where cores and so many front ends meet: in files, unless cores run on other machines."""
    from vllm.utils.network_utils import get_open_port, get_open_zmq_ipc_path, get_tcp_uri
    from vllm.v1.engine.utils import EngineZmqAddresses

    def find() -> str:
        if parallel.data_parallel_size_local == parallel.data_parallel_size:
            path: str = get_open_zmq_ipc_path()
            return path
        uri: str = get_tcp_uri(parallel.data_parallel_master_ip, get_open_port())
        return uri

    return EngineZmqAddresses([find() for _ in range(count)], [find() for _ in range(count)])


def take_for_dead(llm: "AsyncLLM") -> None:
    """Have vLLM's client take its cores for dead: it notices only that its own have ended."""
    from vllm.v1.engine.exceptions import EngineDeadError

    client: Any = llm.engine_core
    client.resources.engine_dead = True
    loop = llm.output_handler and llm.output_handler.get_loop()
    if loop:
        loop.call_soon_threadsafe(client.outputs_queue.put_nowait, EngineDeadError())
