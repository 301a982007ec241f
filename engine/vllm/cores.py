"""vLLM's engine cores in one process, with front ends in several others.

vLLM's own server does the same with `--api-server-count`: each front end binds two sockets, the
cores connect to them, and each front end knows its index and the number of front ends.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from engine.errors import EngineDead
from engine.protocol import EngineLimits
from engine.vllm.dtype import fit_dtype
from engine.vllm.errors import explain
from engine.vllm.leftovers import LEFTOVERS
from engine.vllm.metrics import stat_loggers
from engine.vllm.options import SHUTDOWN_TIMEOUT, claim_folder, engine_arguments, set_environment
from engine.vllm.processes import ProcessTree, cores_of
from engine.vllm.pulse import HangDetector

if TYPE_CHECKING:
    from vllm.v1.engine.async_llm import AsyncLLM


log = logging.getLogger(__name__)

# The cores are ready before a front end connects. If they end just then, vLLM's default of ten
# minutes would delay the next attempt.
HANDSHAKE_ENVIRONMENT = {"VLLM_ENGINE_READY_TIMEOUT_S": "60"}
NEWS_SECONDS = 30.0  # until a front end that lost the cores must know whether they have ended


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """The socket addresses of one front end; `stats` with data parallelism only."""

    inputs: str
    outputs: str
    stats: str | None


class VllmCores:
    """The cores of one checkpoint. The arguments are those of `VllmEngine`; all methods block.

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
        limits: EngineLimits = EngineLimits(),  # noqa: B008 - it is frozen
    ) -> None:
        if options.get("data_parallel_backend") == "ray":
            # vLLM's (0.32) manager of Ray cores has no sentinels that tell of their deaths.
            raise EngineDead(
                "data_parallel_backend: ray needs one front end; serve without --workers"
            )
        self._weights = weights
        self._context_length = context_length
        self._options = options
        self._environment = environment
        self._count = front_ends
        self._limits = limits
        self._detector = HangDetector(limits)
        self._tree: ProcessTree | None = None
        self._manager: Any = None
        self._coordinator: Any = None
        self._is_started = False

    def start(self) -> list[FrontEnd]:
        """Start the cores, wait until the weights are loaded, and return the addresses.

        Raises `EngineDead`. After `close`, new cores can be started, with other addresses.
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
        arguments = fit_dtype(arguments)
        config = create_config(arguments, count=self._count, index=-1)
        addresses = _find_addresses(config.parallel_config, self._count)
        executor = Executor.get_class(config)
        log_stats = not arguments["disable_log_stats"]
        with (
            LEFTOVERS.noting(),
            launch_core_engines(config, executor, log_stats, addresses) as launch,
        ):
            # A tuple in vLLM 0.26, an object in 0.32.
            is_tuple = isinstance(launch, tuple)
            self._manager = launch[0] if is_tuple else launch.engine_manager
            self._coordinator = launch[1] if is_tuple else launch.coordinator
        self._is_started = True
        self._tree = cores_of(self._manager, config.parallel_config)
        self._detector = HangDetector(self._limits)
        log.info(
            "%s: found the weights in %.1f s, imported vLLM in %.1f s, started its cores in %.1f s",
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
        """Return the sentinels to wait for: one is ready when a core or their coordinator ends.

        The list is empty unless the cores run.
        """
        if not self._is_started:
            return []
        coordinators = [self._coordinator.proc.sentinel] if self._coordinator else []
        # With `data_parallel_size_local: 0` all cores run on other machines.
        return [*(self._manager.sentinels() if self._manager else ()), *coordinators]

    def judge(self, elapsed: float, *, is_silent: bool) -> str | None:
        """Return why a core hangs, or None, as `HangDetector.judge` does."""
        if not self._tree:
            return None
        return self._detector.judge(elapsed, self._tree.sample(), is_silent=is_silent)

    def kill(self) -> None:
        """Kill all processes, because a hanging core does not shut down."""
        if self._tree:
            self._tree.kill()

    def close(self) -> None:
        parts = self._manager, self._coordinator
        self._manager = self._coordinator = None
        self._is_started = False
        for part in parts:
            if part:
                part.shutdown(timeout=SHUTDOWN_TIMEOUT)
        if self._tree:  # stopped workers outlive their core
            self._tree.end()
        self._tree = None
        LEFTOVERS.sweep()


class SharedCores:
    """The cores of another process, as front end `index` of `count` uses them.

    Call `found` when cores have started, and `lost` when they have ended or could not be started;
    both are thread-safe. `on_open` is called after the handshake with the cores. `on_broken` is
    called if a second handshake with the same cores would be needed, which vLLM does not allow.
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
        self._changed = threading.Condition()
        # The addresses of new cores, or why there are none, until `open` takes them.
        self._news: FrontEnd | EngineDead | None = None
        self._is_connected = False
        self._llm: AsyncLLM | None = None

    def found(self, front_end: FrontEnd) -> None:
        with self._changed:
            self._news = front_end
            self._changed.notify_all()

    def lost(self, reason: str) -> None:
        """End all calls with `EngineDead`, and wait for new cores."""
        with self._changed:
            was_connected, self._is_connected = self._is_connected, False
            if was_connected and self._llm:
                mark_dead(self._llm)
            else:
                self._news = EngineDead(reason)
                self._changed.notify_all()

    def open(self, arguments: Mapping[str, Any]) -> "AsyncLLM":
        """Wait for cores and connect to them. Raises `EngineDead`, and what vLLM raises."""
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
        with self._changed:
            if not self._is_connected:  # the cores ended during the handshake
                self._news = None if isinstance(self._news, EngineDead) else self._news
                mark_dead(self._llm)
                return self._llm
        self._on_open()
        return self._llm

    def _wait(self) -> FrontEnd:
        with self._changed:
            # vLLM may report the end of the cores before their process does.
            if self._is_connected and not self._changed.wait_for(self._has_news, NEWS_SECONDS):
                self._on_broken()
                raise EngineDead("this front end has lost vLLM's cores, which connect only once")
            self._changed.wait_for(self._has_news)
            news, self._news = self._news, None
            assert news, "`wait_for` has returned"
            if isinstance(news, EngineDead):
                raise news
            self._is_connected = True
            return news

    def _has_news(self) -> bool:
        return self._news is not None


def create_config(arguments: Mapping[str, Any], *, count: int, index: int) -> Any:  # noqa: ANN401 - vLLM's VllmConfig
    """Return vLLM's config from engine arguments, for front end `index` of `count`."""
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.usage.usage_lib import UsageContext

    engine_args = AsyncEngineArgs(**arguments)
    engine_args._api_process_count = count  # noqa: SLF001 - as vLLM's server sets them
    engine_args._api_process_rank = index  # noqa: SLF001 - as above
    return engine_args.create_engine_config(UsageContext.OPENAI_API_SERVER)


def _find_addresses(parallel: Any, count: int) -> Any:  # noqa: ANN401 - vLLM's ParallelConfig and EngineZmqAddresses
    """Return the addresses for `count` front ends: files, unless cores run on other machines."""
    from vllm.utils.network_utils import get_open_port, get_open_zmq_ipc_path, get_tcp_uri
    from vllm.v1.engine.utils import EngineZmqAddresses

    def find() -> str:
        if parallel.data_parallel_size_local == parallel.data_parallel_size:
            path: str = get_open_zmq_ipc_path()
            return path
        uri: str = get_tcp_uri(parallel.data_parallel_master_ip, get_open_port())
        return uri

    return EngineZmqAddresses([find() for _ in range(count)], [find() for _ in range(count)])


def mark_dead(llm: "AsyncLLM") -> None:
    """Have vLLM's client treat its cores as dead: it notices the end of its own children only."""
    from vllm.v1.engine.exceptions import EngineDeadError

    client: Any = llm.engine_core
    client.resources.engine_dead = True
    loop = llm.output_handler and llm.output_handler.get_loop()
    if loop:
        loop.call_soon_threadsafe(client.outputs_queue.put_nowait, EngineDeadError())
