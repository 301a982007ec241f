"""Figures of a turn, and their medians over rounds."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import ceil
from statistics import median
from typing import Any

from bench.streams.batch import Drive, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of a turn: seconds, microseconds of the front end's CPU a token, bytes.

    `generator_share` is the load's own share of one CPU core. Figures are None if unknown: all
    times if all requests failed, and times of tokens if nothing is streamed.
    """

    tokens_per_second: float | None
    requests_per_second: float | None
    first_p50: float | None
    first_p99: float | None
    between_p50: float | None
    between_p99: float | None
    answer_p50: float | None
    answer_p99: float | None
    cpu_per_token: float | None
    front_end_bytes: float
    children_bytes: float
    generator_share: float


@dataclass(frozen=True, slots=True)
class Turn:
    """A batch sent to a server, with the CPU seconds of its front end in `cpu`."""

    drive: Drive
    cpu: float
    front_end_bytes: int
    children_bytes: int


def to_figures(turn: Turn) -> Figures:
    """Return the figures of the answered requests; failures are left out."""
    drive = turn.drive
    good = [sample for sample in drive.samples if sample.failure is None]
    tokens = sum(sample.tokens for sample in good)
    firsts = [sample.arrivals[0] for sample in good if sample.arrivals]
    gaps = [after - before for each in good for before, after in pairwise(each.arrivals)]
    answers = [sample.took for sample in good]
    return Figures(
        tokens_per_second=tokens / drive.seconds if tokens else None,
        requests_per_second=len(good) / drive.seconds if good else None,
        first_p50=quantile(firsts, 0.5),
        first_p99=quantile(firsts, 0.99),
        between_p50=quantile(gaps, 0.5),
        between_p99=quantile(gaps, 0.99),
        answer_p50=quantile(answers, 0.5),
        answer_p99=quantile(answers, 0.99),
        # Failed requests used CPU, too, and their tokens are unknown.
        cpu_per_token=1e6 * turn.cpu / tokens if len(good) == len(drive.samples) else None,
        front_end_bytes=turn.front_end_bytes,
        children_bytes=turn.children_bytes,
        generator_share=drive.own / drive.seconds,
    )


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the quantile by the nearest-rank method."""
    return sorted(values)[max(0, ceil(share * len(values)) - 1)] if values else None


def middle(values: Iterable[float | None]) -> float | None:
    """Return the median of the values that are not None."""
    known = [value for value in values if value is not None]
    return median(known) if known else None


def to_row(turns: Sequence[Turn], beside: Sequence[Turn]) -> dict[str, Any]:
    """Return medians of the rounds, ratios to another server in the same rounds, and failures."""
    ours, theirs = ([asdict(to_figures(turn)) for turn in some] for some in (turns, beside))
    samples = [sample for turn in turns for sample in turn.drive.samples]
    return {
        "rounds": len(turns),
        "requests": len(samples),
        "failed": failures(samples),
        "prompt_tokens": middle(each.prompt_tokens or None for each in samples),
        **{key: middle(each[key] for each in ours) for key in ours[0]},
        "speed_ratio": _ratio(ours, theirs, "tokens_per_second"),
        "cpu_ratio": _ratio(ours, theirs, "cpu_per_token"),
        "first_ratio": _ratio(ours, theirs, "first_p50"),
    }


def failures(samples: Iterable[Sample]) -> dict[str, int]:
    """Count the failed requests by kind."""
    return dict(Counter(sample.failure for sample in samples if sample.failure))


def _ratio(
    ours: Sequence[Mapping[str, float | None]],
    theirs: Sequence[Mapping[str, float | None]],
    key: str,
) -> float | None:
    pairs = [(one[key], other[key]) for one, other in zip(ours, theirs, strict=True)]
    return middle(one / other if one and other else None for one, other in pairs)
