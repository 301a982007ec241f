"""Tables of results, in Markdown."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeVar

from bench.streams.machine import in_words

Row = Mapping[str, Any]
Pair = Sequence[int]  # words and users; a list if read from a file
Value = TypeVar("Value")
SHOWN_USERS = (1, 32, 128)  # the full table has all numbers of users
DASH = "-"


def number(key: str, form: str, scale: float = 1.0) -> Callable[[Row], str]:
    """Format a figure, or a dash if there is none."""
    return lambda row: DASH if row[key] is None else format(scale * row[key], form)


def beside(key: str, form: str, ratio: str, scale: float = 1.0) -> Callable[[Row], str]:
    """Format a figure, and in brackets its ratio to vLLM's own server."""

    def cell(row: Row) -> str:
        figure = number(key, form, scale)(row)
        return figure if row[ratio] is None else f"{figure} ({row[ratio]:.2f})"

    return cell


def failed(row: Row) -> str:
    """Format the failures of all rounds, by kind."""
    if not row["failed"]:
        return "0"
    how = ", ".join(f"{count} {failure}" for failure, count in row["failed"].items())
    return f"{sum(row['failed'].values())} of {row['requests']}: {how}"


COLUMNS: dict[str, Callable[[Row], str]] = {
    "server": lambda row: row["server"],
    "words in": lambda row: str(row["words"]),
    "users": lambda row: str(row["users"]),
    "tokens/s": beside("tokens_per_second", ".0f", "speed_ratio"),
    "requests/s": number("requests_per_second", ".2f"),
    "first token p50, ms": beside("first_p50", ".0f", "first_ratio", 1e3),
    "p99": number("first_p99", ".0f", 1e3),
    "between tokens p50, ms": number("between_p50", ".1f", 1e3),
    "p99 ": number("between_p99", ".1f", 1e3),
    "front end CPU, µs/token": beside("cpu_per_token", ".0f", "cpu_ratio"),
    "front end, MB": number("front_end_bytes", ".0f", 1e-6),
    "its children, MB": number("children_bytes", ".0f", 1e-6),
    "failed": failed,
}


def markdown(columns: Mapping[str, Callable[[Value], str]], rows: Iterable[Value]) -> str:
    lines = [[name.strip() for name in columns], ["---"] * len(columns)]
    lines += [[cell(row) for cell in columns.values()] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def full_table(result: Mapping[str, Any]) -> str:
    return f"{headline(result)}\n\n{markdown(COLUMNS, result['rows'])}"


def short_table(result: Mapping[str, Any]) -> str:
    """Return the rows for `SHOWN_USERS`, and for the most users of each length."""
    most: dict[int, int] = {}
    for row in result["rows"]:
        most[row["words"]] = max(row["users"], most.get(row["words"], 0))
    rows = [row for row in result["rows"] if row["users"] in {*SHOWN_USERS, most[row["words"]]}]
    return f"{headline(result)}\n\n{markdown(COLUMNS, rows)}"


def headline(result: Mapping[str, Any]) -> str:
    """Describe the machine, the checkpoint, the load's own limit, and what was left out."""
    load = result["load"]
    what = f"{result['checkpoint']}, {result['tokens']} tokens out"
    where = f"{in_words(result['machine'])}; {what}; {times(result)}."
    bound = (
        f"The load takes {load['tokens_per_second']:.0f} tokens/s from a server of canned streams,"
        f" with {load['share']:.0%} of a core, {load['cpu_per_token']:.1f} µs a token; in the turns"
        f" it took at most {most_load(result['rows']):.0%}."
    )
    return " ".join([where, bound, *left_out(result["left_out"])])


def times(result: Mapping[str, Any]) -> str:
    """Describe the number of rounds of each pair."""
    once = [tuple(pair) for pair in result["once"]]
    rows = [row for row in result["rows"] if (row["words"], row["users"]) not in once]
    rounds = sorted({row["rounds"] for row in rows}) or [1]
    often = "one round" if rounds == [1] else f"medians of {' to '.join(map(str, rounds))} rounds"
    return "; ".join([often, *(f"{pairs} once" for pairs in by_length(once))])


def most_load(rows: Sequence[Row]) -> float:
    share: float = max(row["generator_share"] for row in rows)
    return share


def left_out(pairs: Sequence[Pair]) -> list[str]:
    """Return a sentence for each prompt length that exceeds the context or `--most-read`."""
    return [f"Left out, as the prompts are too long: {some}." for some in by_length(pairs)]


def by_length(pairs: Sequence[Pair]) -> list[str]:
    return [
        f"{words} words at {', '.join(str(users) for _, users in some)} users"
        for words, some in groupby(pairs, itemgetter(0))
    ]
