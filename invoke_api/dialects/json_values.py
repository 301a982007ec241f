"""Conversion of a body's JSON values: sorted keys, plain Python numbers."""

from decimal import Decimal
from typing import Any


def sort_keys(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return the value with the keys of all its objects sorted."""
    # Loops, for the reason given in `to_plain`.
    if isinstance(value, dict):
        ordered: dict[str, Any] = {}
        for key in sorted(value):
            ordered[key] = sort_keys(value[key])
        return ordered
    if isinstance(value, list):
        row: list[Any] = []
        for inner in value:
            row.append(sort_keys(inner))  # noqa: PERF401 - see above
        return row
    return value


def to_plain(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return the value with ints and floats in place of `BigInteger`s and `Decimal`s."""
    # Loops: a comprehension would take a second frame per level, and bodies may have 512 levels.
    if isinstance(value, dict):
        plain: dict[str, Any] = {}
        for key, inner in value.items():
            plain[key] = to_plain(inner)
        return plain
    if isinstance(value, list):
        row: list[Any] = []
        for inner in value:
            row.append(to_plain(inner))  # noqa: PERF401 - see above
        return row
    if isinstance(value, Decimal):
        return float(value)
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value
