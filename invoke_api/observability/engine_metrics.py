"""Prometheus metrics of engines: their current states and calls."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import get_args

from prometheus_client import CollectorRegistry, Gauge

from engine.protocol import Engine, Status
from invoke_api import __version__

STATES: tuple[Status, ...] = get_args(Status)


class EngineMetrics:
    """The metrics of all engines. The name of an engine is its kind and a number.

    All metrics are gauges, because only gauges have modes for several processes.
    """

    def __init__(
        self, engines: Iterable[tuple[str, Engine]], registry: CollectorRegistry | None
    ) -> None:
        build = Gauge(
            "invoke_api_build_info",
            "1 for the version in the label.",
            ["version"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        build.labels(__version__).set(1)
        self._running = Gauge(
            "invoke_api_engine_calls_running",
            "Calls in an engine, also those that have not got a token yet.",
            ["engine"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._waiting = Gauge(
            "invoke_api_engine_calls_waiting",
            "Calls that have not got a token yet from their engine.",
            ["engine"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._state = Gauge(
            "invoke_api_engine_state",
            "1 for the current state of an engine, 0 for the others.",
            ["engine", "state"],
            registry=registry,
            multiprocess_mode="livemostrecent",  # of the process that exports
        )
        models = Gauge(
            "invoke_api_engine_model_info",
            "1 for each model that an engine serves.",
            ["engine", "model_id"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._names: dict[Engine, str] = {}
        self._of_models: dict[str, str] = {}
        for model_id, engine in engines:
            name = self._names.setdefault(engine, f"{engine.name}-{len(self._names) + 1}")
            self._of_models[model_id] = name
            models.labels(name, model_id).set(1)

    def refresh(self, waiting: Mapping[str, int]) -> None:
        """Update the gauges. Call this before the metrics are exported.

        `waiting` counts the calls without a token, by the id of their model.
        """
        counts = Counter(dict.fromkeys(self._names.values(), 0))
        for model_id, count in waiting.items():
            counts[self._of_models[model_id]] += count
        for engine, name in self._names.items():
            now = engine.state()
            self._running.labels(name).set(engine.running())
            self._waiting.labels(name).set(counts[name])
            for state in STATES:
                self._state.labels(name, state).set(state == now.status)
