"""Values of a body as the rest of Python, or a model's server, knows them."""

from decimal import Decimal
from typing import Any


def sort_keys(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return the value with the keys of all its objects sorted."""
    # Loops, as below.
    if isinstance(value, dict):
        ordered: dict[str, Any] = {}
        for key in sorted(value):
            ordered[key] = sort_keys(value[key])
        return ordered
    if isinstance(value, list):
        row: list[Any] = []
        for inner in value:
            row.append(sort_keys(inner))  # noqa: PERF401 - as below
        return row
    return value


def to_plain(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """The same with the numbers that Python's JSON knows, in place of those that keep digits."""
    # Loops, for a comprehension takes a second frame a level, and bodies may have 512 of them.
    if isinstance(value, dict):
        plain: dict[str, Any] = {}
        for key, inner in value.items():
            plain[key] = to_plain(inner)
        return plain
    if isinstance(value, list):
        row: list[Any] = []
        for inner in value:
            row.append(to_plain(inner))  # noqa: PERF401 - as above
        return row
    if isinstance(value, Decimal):
        return float(value)
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value
