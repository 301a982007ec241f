"""Prometheus metrics of the event loop: its number of tasks."""

import asyncio

from prometheus_client import CollectorRegistry, Gauge


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
