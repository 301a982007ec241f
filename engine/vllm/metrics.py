"""The metrics of all vLLM engines of one process, in prometheus_client's default registry.

vLLM expects one engine in a process: each engine that starts unregisters the metrics of the one
before. Here the metrics of all engines are kept and collected together.
"""

import threading
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import REGISTRY, Metric
from prometheus_client.registry import Collector


def stat_loggers(arguments: Mapping[str, Any]) -> list[Any] | None:
    """Return the loggers for an `AsyncLLM` with these arguments; None if statistics are off."""
    if arguments["disable_log_stats"]:
        return None

    from vllm.v1.metrics.loggers import PrometheusStatLogger

    class OwnStatLogger(PrometheusStatLogger):  # type: ignore[misc]  # vLLM is untyped here
        """vLLM's logger, created under a lock; `VLLM_METRICS` takes over its metrics."""

        def __init__(self, vllm_config: Any, *more: Any, **named: Any) -> None:  # noqa: ANN401 - vLLM's
            with VLLM_METRICS.lock:
                super().__init__(vllm_config, *more, **named)
                VLLM_METRICS.take(self, vllm_config.model_config.served_model_name)

    return [OwnStatLogger]


def forget(llm: Any) -> None:  # noqa: ANN401 - an AsyncLLM
    """Drop the metrics of an engine that is closed."""
    manager = getattr(llm, "logger_manager", None)
    for logger in manager.stat_loggers if manager else ():
        VLLM_METRICS.drop(logger)


class VllmMetrics(Collector):
    """A collector of the metrics that vLLM registers, by the model's name in their labels.

    Of two engines with the same name only the last is collected, because Prometheus refuses
    duplicate series.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._kept: dict[str, tuple[object, list[Collector]]] = {}

    def take(self, owner: object, name: str) -> None:
        """Take over all metrics of vLLM that are still in the registry."""
        registered = list(REGISTRY._collector_to_names.items())  # noqa: SLF001 - as vLLM does
        found = [
            collector
            for collector, names in registered
            if any(each.startswith("vllm:") for each in names)
        ]
        for collector in found:
            REGISTRY.unregister(collector)
        if not any(collector is self for collector, _ in registered):
            REGISTRY.register(self)
        self._kept[name] = owner, found

    def drop(self, owner: object) -> None:
        with self.lock:
            self._kept = {name: kept for name, kept in self._kept.items() if kept[0] is not owner}

    def describe(self) -> list[Metric]:
        """Reserve no names, because vLLM must be able to register its metrics again."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Return one metric for each name, with the samples of all engines."""
        merged: dict[str, Metric] = {}
        with self.lock:
            collectors = [each for _, found in self._kept.values() for each in found]
        for metric in [metric for collector in collectors for metric in collector.collect()]:
            if metric.name in merged:
                merged[metric.name].samples += metric.samples
            else:
                merged[metric.name] = metric
        return iter(merged.values())


VLLM_METRICS = VllmMetrics()  # one, like the registry
