"""Export of metrics in Prometheus's text formats, for one process or several."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Metric,
    ProcessCollector,
    disable_created_metrics,
    values,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector


class Exposition:
    """An exporter. Register the metrics of this service in `registry`.

    With a `folder`, prometheus_client keeps all values in files there, also vLLM's, and each of the
    processes exports the sum. The variable PROMETHEUS_MULTIPROC_DIR must name the folder before
    prometheus_client is imported. `registry` is then None, because only the files are read.
    """

    def __init__(self, folder: Path | None) -> None:
        # These gauges, one per counter, would double the output.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no types here
        self._exported = CollectorRegistry()
        self.registry = None if folder else self._exported
        if folder:
            MultiProcessCollector(self._exported, path=str(folder))  # type: ignore[no-untyped-call]  # as above
            self._exported.register(WorkerProcesses(folder))
        else:
            # PROMETHEUS_MULTIPROC_DIR may be set for other programs.
            values.ValueClass = values.MutexValue
            ProcessCollector(registry=self._exported)
            self._exported.register(VllmMetrics())

    def render(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics in the format of this Accept header, and the content type."""
        try:
            encode, content_type = choose_encoder(accept)
        except (TypeError, ValueError):  # the header has an invalid version
            encode, content_type = choose_encoder("")
        return encode(self._exported), content_type


def forget_process(pid: int | None, folder: Path) -> None:
    """Remove the gauges of an ended process, and keep its counters."""
    mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]  # as above


class VllmMetrics(Collector):
    """The metrics that vLLM, with a suitable option, has registered in the default registry."""

    def collect(self) -> Iterator[Metric]:
        return (metric for metric in REGISTRY.collect() if metric.name.startswith("vllm:"))


class WorkerProcesses(Collector):
    """The CPU time and memory of each process with files in this folder, by pid."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        metrics: dict[str, Metric] = {}
        for pid in sorted({path.stem.rpartition("_")[2] for path in self._folder.glob("*.db")}):
            process = ProcessCollector(pid=partial(str, pid), registry=None)
            for found in process.collect():
                copy = Metric(found.name, found.documentation, found.type)
                metric = metrics.setdefault(found.name, copy)
                for sample in found.samples:
                    metric.add_sample(sample.name, {"pid": pid}, sample.value)
        return iter(metrics.values())
