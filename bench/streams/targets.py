"""Targets of the benchmark, and the comparison of results with them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.streams.servers import FLOOR, OURS
from bench.streams.tables import DASH, Row, markdown

Ratio = Callable[[Row, Row | None], float | None]


@dataclass(frozen=True, slots=True)
class Target:
    """A target for at least so many `users`.

    `ratio` compares a row of our streams with one of `AsyncLLM`, or None if that was not measured.
    """

    what: str
    aim: str
    ratio: Ratio
    users: int = 1


def _of_server(key: str) -> Ratio:
    return lambda ours, _: ours[key]


def _of_floor(ours: Row, floor: Row | None) -> float | None:
    if floor is None or ours["speed_ratio"] is None or floor["speed_ratio"] is None:
        return None
    ratio: float = ours["speed_ratio"] / floor["speed_ratio"]
    return ratio


TARGETS = (
    Target(
        "CPU a token, of vLLM's server's, from 32 users", "at most 0.5", _of_server("cpu_ratio"), 32
    ),
    Target("tokens/s, of vLLM's server's", "at least 1", _of_server("speed_ratio")),
    Target("tokens/s, of `AsyncLLM`'s", "at least 0.9", _of_floor),
    Target("first token p50, of vLLM's server's", "at most 1", _of_server("first_ratio")),
)


def targets_table(result: Mapping[str, Any]) -> str:
    """Return the lowest, median and highest ratio for each prompt length."""
    lengths = sorted({row["words"] for row in result["rows"]})
    columns: dict[str, Callable[[Target], str]] = {
        "Invoke API, stream": lambda target: target.what,
        "aim": lambda target: target.aim,
    }
    for words in lengths:
        columns[f"{words} words in"] = _span(result["rows"], words)
    return markdown(columns, TARGETS)


def _span(rows: Sequence[Row], words: int) -> Callable[[Target], str]:
    of = {
        name: {row["users"]: row for row in rows if row["server"] == name and row["words"] == words}
        for name in (OURS, FLOOR)
    }

    def cell(target: Target) -> str:
        ratios = (
            target.ratio(ours, of[FLOOR].get(users))
            for users, ours in of[OURS].items()
            if users >= target.users
        )
        known = sorted(ratio for ratio in ratios if ratio is not None)
        if not known:
            return DASH
        low, high = (f"{known[at]:.2f}" for at in (0, -1))
        return low if low == high else f"{low} to {high}, {median(known):.2f} in the middle"

    return cell
