"""Observation of a process under load: its memory, files, threads and tasks."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from statistics import linear_regression, median
from time import monotonic

from tests.reliability.service import UNDER_WAY, Service
from tests.support.metrics import Scrape

TASKS = "invoke_api_tasks"
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sample:
    """The resources of a process at a monotonic time in seconds; memory is in MiB."""

    at: float
    memory: float
    files: float
    threads: float
    tasks: float
    calls: float


# The apparent growth over the last two thirds of a run, by a regression line. Files and tasks vary
# with the calls in flight.
MAX_GROWTH = {"memory": 24.0, "files": 12.0, "threads": 4.0, "tasks": 24.0}
# The growth from before the load to after the last call. Upload workers keep three pipes each.
MAX_LEFT = {"files": 8.0, "threads": 8.0, "tasks": 2.0}


def take(service: Service) -> Sample:
    process, scrape = service.seen(), Scrape(service.url)
    return Sample(
        at=monotonic(),
        memory=process.memory_info().rss / MIB,
        files=process.num_fds(),
        threads=process.num_threads(),
        tasks=scrape.sum(TASKS),
        calls=scrape.sum(UNDER_WAY),
    )


async def watch(service: Service, samples: list[Sample], every: float) -> None:
    """Take samples until cancelled."""
    while True:
        samples.append(await asyncio.to_thread(take, service))
        await asyncio.sleep(every)


def growth(samples: Sequence[Sample], name: str) -> float:
    """Return the rise of a regression line through the last two thirds of the samples."""
    last = samples[len(samples) // 3 :]
    slope, _ = linear_regression([each.at for each in last], [getattr(each, name) for each in last])
    return slope * (last[-1].at - last[0].at)


def growths(samples: Sequence[Sample]) -> dict[str, float]:
    return {name: round(growth(samples, name), 2) for name in MAX_GROWTH}


def middle(samples: Sequence[Sample]) -> dict[str, float]:
    """Return the medians of the last two thirds."""
    last = samples[len(samples) // 3 :]
    names = [field.name for field in fields(Sample) if field.name != "at"]
    return {name: round(median(getattr(each, name) for each in last), 1) for name in names}


def tenths(samples: Sequence[Sample]) -> list[float]:
    """Return the median memory of each tenth of a run, which shows growth that slows down."""
    size = max(1, len(samples) // 10)
    parts = [samples[start : start + size] for start in range(0, 10 * size, size)]
    return [round(median(each.memory for each in part), 1) for part in parts if part]


def complaints(samples: Sequence[Sample], before: Sample, after: Sample) -> list[str]:
    """Return a sentence for each resource that grows, or is left after all calls."""
    found = [
        f"{name} grew by {grown:.1f}, {MAX_GROWTH[name]:g} at most"
        for name, grown in growths(samples).items()
        if grown > MAX_GROWTH[name]
    ]
    had, has = asdict(before), asdict(after)
    found += [
        f"{name}: {has[name]:g} are left, {had[name]:g} before"
        for name, most in MAX_LEFT.items()
        if has[name] > had[name] + most
    ]
    return found
