"""vLLM's own metrics, of all its engines in one process, in prometheus_client's own registry.

vLLM takes itself for the only one in its process: each engine that starts throws the metrics of the
one before out of that registry. Here they are kept, and told together.
"""

import threading
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import REGISTRY, Metric
from prometheus_client.registry import Collector


def stat_loggers(arguments: Mapping[str, Any]) -> list[Any] | None:
    """For an `AsyncLLM` with these engine arguments; None if vLLM is to count nothing."""
    if arguments["disable_log_stats"]:
        return None

    from vllm.v1.metrics.loggers import PrometheusStatLogger

    class KeptStatLogger(PrometheusStatLogger):  # type: ignore[misc]  # vLLM is untyped here
        """vLLM's own, made while no other is."""

        def __init__(self, vllm_config: Any, *more: Any, **named: Any) -> None:  # noqa: ANN401 - vLLM's
            with KEPT.lock:
                super().__init__(vllm_config, *more, **named)
                KEPT.take(self, vllm_config.model_config.served_model_name)

    return [KeptStatLogger]


def forget(llm: Any) -> None:  # noqa: ANN401 - an AsyncLLM
    """An engine that is closed tells no more."""
    manager = getattr(llm, "logger_manager", None)
    for logger in manager.stat_loggers if manager else ():
        KEPT.drop(logger)


class KeptMetrics(Collector):
    """What vLLM registers, by the name that it gives a model in its labels.

    Of two engines of one name the last is told: Prometheus takes no series twice.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._kept: dict[str, tuple[object, list[Collector]]] = {}

    def take(self, owner: object, name: str) -> None:
        """All that is registered of vLLM's and not taken yet."""
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
        """Names that nobody else may register: none, for vLLM is to register its own again."""
        return []

    def collect(self) -> Iterator[Metric]:
        """One metric of each name, with the samples of all engines."""
        merged: dict[str, Metric] = {}
        with self.lock:
            collectors = [each for _, found in self._kept.values() for each in found]
        for metric in [metric for collector in collectors for metric in collector.collect()]:
            if metric.name in merged:
                merged[metric.name].samples += metric.samples
            else:
                merged[metric.name] = metric
        return iter(merged.values())


KEPT = KeptMetrics()  # one, as the registry is
