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

    class KeptStatLogger(PrometheusStatLogger):  # type: ignore[misc]  # vLLM is untyped
        """vLLM's own, made while no other is."""

        def __init__(self, vllm_config: Any, *more: Any, **named: Any) -> None:  # noqa: ANN401 - passed on
            with KEPT.lock:
                super().__init__(vllm_config, *more, **named)
                KEPT.take(vllm_config.model_config.served_model_name)

    return [KeptStatLogger]


class KeptMetrics(Collector):
    """By the name that vLLM gives a model in its labels; of engines of one name, the last."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._kept: dict[str, list[Collector]] = {}

    def take(self, name: str) -> None:
        """What vLLM has just registered."""
        registered = list(REGISTRY._collector_to_names.items())  # noqa: SLF001 - as vLLM does
        found = [
            collector
            for collector, names in registered
            if any(each.startswith("vllm:") for each in names)
        ]
        for collector in found:
            REGISTRY.unregister(collector)
        if not self._kept:
            REGISTRY.register(self)
        self._kept[name] = found

    def collect(self) -> Iterator[Metric]:
        """One metric of each name, with the samples of all engines."""
        merged: dict[str, Metric] = {}
        for collector in [each for kept in list(self._kept.values()) for each in kept]:
            for metric in collector.collect():
                if metric.name in merged:
                    merged[metric.name].samples += metric.samples
                else:
                    merged[metric.name] = metric
        return iter(merged.values())


KEPT = KeptMetrics()  # one, as the registry is
