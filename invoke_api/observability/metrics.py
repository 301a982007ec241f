"""The metrics of one service."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge

from engine.protocol import Engine
from invoke_api.observability.call_metrics import CallMetrics
from invoke_api.observability.engine_metrics import EngineMetrics
from invoke_api.observability.exposition import Exposition

LOOK = 1.0  # seconds between two looks at what is going on, where other processes tell of it too


class Metrics:
    """Several processes that answer together share `folder`, as `Exposition` says."""

    def __init__(self, engines: Iterable[tuple[str, Engine]], folder: Path | None = None) -> None:
        self._is_shared = folder is not None
        self._exposition = Exposition(folder)
        self.calls = CallMetrics(self._exposition.registry)
        self._engines = EngineMetrics(engines, self._exposition.registry)
        self._loop = LoopMetrics(self._exposition.registry)
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._is_shared:
            self._looking = asyncio.create_task(self._look())

    def close(self) -> None:
        if self._looking:
            self._looking.cancel()

    async def _look(self) -> None:
        while True:
            self._refresh()
            await asyncio.sleep(LOOK)

    def _refresh(self) -> None:
        self.calls.refresh()
        self._engines.refresh()
        self._loop.refresh()

    async def render(self, accept: str) -> tuple[bytes, str]:
        """As `Exposition.render`, in a thread: of many models it takes some milliseconds."""
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
        """Count the tasks now; call this in the loop before metrics are exported."""
        self._tasks.set(len(asyncio.all_tasks()))
