"""What Prometheus is told of engines: their states, and the calls in each, as they are now."""

from collections.abc import Iterable
from typing import get_args

from prometheus_client import CollectorRegistry, Gauge

from engine.protocol import Engine, Status
from invoke_api import __version__

STATES: tuple[Status, ...] = get_args(Status)


class EngineMetrics:
    """Each engine goes by its kind and a number, as models may share one.

    All are gauges, the constant ones too, for only such can be merged over several processes.
    """

    def __init__(
        self, engines: Iterable[tuple[str, Engine]], registry: CollectorRegistry | None
    ) -> None:
        build = Gauge(
            "invoke_api_build_info",
            "1, for the version in its label.",
            ["version"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        build.labels(__version__).set(1)
        self._running = Gauge(
            "invoke_api_engine_calls_running",
            "Calls that an engine works on, those included that wait for a place in its batch.",
            ["engine"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._waiting = Gauge(
            "invoke_api_engine_calls_waiting",
            "Calls that wait for an engine to be loaded on demand.",
            ["engine"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._state = Gauge(
            "invoke_api_engine_state",
            "1 for the state that an engine is in, 0 for the others.",
            ["engine", "state"],
            registry=registry,
            multiprocess_mode="livemostrecent",  # that of the process that answers
        )
        models = Gauge(
            "invoke_api_engine_model_info",
            "1 for each model that an engine speaks for.",
            ["engine", "model_id"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._names: dict[Engine, str] = {}
        for model_id, engine in engines:
            name = self._names.setdefault(engine, f"{engine.name}-{len(self._names) + 1}")
            models.labels(name, model_id).set(1)

    def refresh(self) -> None:
        """To be called before they are told."""
        for engine, name in self._names.items():
            now = engine.state()
            self._running.labels(name).set(engine.running())
            if now.waiting is not None:
                self._waiting.labels(name).set(now.waiting)
            for state in STATES:
                self._state.labels(name, state).set(state == now.status)
