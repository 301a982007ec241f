"""The metrics of one service."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge

from engine.protocol import Engine
from invoke_api.observability.call_metrics import CallMetrics
from invoke_api.observability.engine_metrics import EngineMetrics
from invoke_api.observability.exposition import Exposition

REFRESH_SECONDS = 1.0  # between two updates of the gauges, which other processes export


class Metrics:
    """All metrics of a service. Its processes share `folder`: see `Exposition`.

    `count_waiting` counts the calls that have not got a token yet, by the id of their model.
    """

    def __init__(
        self,
        engines: Iterable[tuple[str, Engine]],
        folder: Path | None = None,
        count_waiting: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._count_waiting = count_waiting
        self._is_shared = folder is not None
        self._exposition = Exposition(folder)
        self.calls = CallMetrics(self._exposition.registry)
        self._engines = EngineMetrics(engines, self._exposition.registry)
        self._loop = LoopMetrics(self._exposition.registry)
        self._refreshing: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._is_shared:
            self._refreshing = asyncio.create_task(self._refresh_regularly())

    def close(self) -> None:
        if self._refreshing:
            self._refreshing.cancel()

    async def _refresh_regularly(self) -> None:
        while True:
            self._refresh()
            await asyncio.sleep(REFRESH_SECONDS)

    def _refresh(self) -> None:
        self.calls.refresh()
        self._engines.refresh(self._count_waiting())
        self._loop.refresh()

    async def render(self, accept: str) -> tuple[bytes, str]:
        """Return the exported metrics. A thread renders them, which can take milliseconds."""
        self._refresh()
        return await asyncio.to_thread(self._exposition.render, accept)


class LoopMetrics:
    """A gauge of tasks; it keeps growing if tasks never end and are not cancelled."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        self._tasks = Gauge(
            "invoke_api_tasks",
            "Tasks of the event loop.",
            registry=registry,
            multiprocess_mode="livesum",
        )

    def refresh(self) -> None:
        """Count the tasks. Call this in the loop before metrics are exported."""
        self._tasks.set(len(asyncio.all_tasks()))
