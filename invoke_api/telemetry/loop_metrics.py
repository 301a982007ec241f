"""What Prometheus is told of the event loop: how many tasks it has."""

import asyncio

from prometheus_client import CollectorRegistry, Gauge


class LoopMetrics:
    """A gauge of tasks, which grows for good where something is never awaited or cancelled."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        self._tasks = Gauge(
            "invoke_api_tasks",
            "Tasks of the event loop.",
            registry=registry,
            multiprocess_mode="livesum",
        )

    def refresh(self) -> None:
        """Count the tasks now; called in the loop before metrics are told."""
        self._tasks.set(len(asyncio.all_tasks()))
