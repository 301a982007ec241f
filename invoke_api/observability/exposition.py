"""Metrics in Prometheus's text formats: of this process, or of all that share a folder."""

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
    """`registry` is for the metrics of this service.

    With a `folder`, prometheus_client keeps all values in its files, vLLM's too, and any of the
    processes tells the sum. It must have found the folder in PROMETHEUS_MULTIPROC_DIR when it was
    imported; `registry` is None then, for the files are all that is read.
    """

    def __init__(self, folder: Path | None) -> None:
        # A gauge beside each counter, which says when that was made: twice as much to read.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library lacks it
        self._told = CollectorRegistry()
        self.registry = None if folder else self._told
        if folder:
            MultiProcessCollector(self._told, path=str(folder))  # type: ignore[no-untyped-call]  # as above
            self._told.register(WorkerProcesses(folder))
        else:
            # The variable may be there for other programs, whose folder this is.
            values.ValueClass = values.MutexValue
            ProcessCollector(registry=self._told)
            self._told.register(VllmMetrics())

    def render(self, accept: str) -> tuple[bytes, str]:
        """The text in the format that this header asks for, and its content type."""
        try:
            encode, content_type = choose_encoder(accept)
        except (TypeError, ValueError):  # it stumbles over a version that is no number
            encode, content_type = choose_encoder("")
        return encode(self._told), content_type


def forget_process(pid: int | None, folder: Path) -> None:
    """A process that has ended has nothing under way any more; what it has counted still counts."""
    mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]  # as above


class VllmMetrics(Collector):
    """What vLLM has put into prometheus_client's own registry, if its options ask it to."""

    def collect(self) -> Iterator[Metric]:
        return (metric for metric in REGISTRY.collect() if metric.name.startswith("vllm:"))


class WorkerProcesses(Collector):
    """CPU time and memory of each process that has files in this folder, named by its pid."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        metrics: dict[str, Metric] = {}
        for pid in sorted({path.stem.rpartition("_")[2] for path in self._folder.glob("*.db")}):
            process = ProcessCollector(pid=partial(str, pid), registry=None)
            for found in process.collect():
                told = Metric(found.name, found.documentation, found.type)
                metric = metrics.setdefault(found.name, told)
                for sample in found.samples:
                    metric.add_sample(sample.name, {"pid": pid}, sample.value)
        return iter(metrics.values())
