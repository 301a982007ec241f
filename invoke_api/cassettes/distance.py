"""The distance between two JSON values, summed over the places that differ."""

from collections import Counter
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

# Distance of one place that differs. An integer, so the sum does not depend on the order.
APART = 1 << 36


def distance(one: object, other: object) -> int:
    """Return the sum of `APART` for each place that differs; less for texts that share words."""
    return sum(apart for _, apart in _compare(one, other))


def differences(one: object, other: object) -> Iterator[str]:
    """Yield JSON pointers to the places where two values differ."""
    return (pointer for pointer, _ in _compare(one, other))


def _compare(one: Any, other: Any) -> Iterator[tuple[str, int]]:  # noqa: ANN401 - any JSON
    """Yield the pointer and distance of each difference.

    Not recursive: a body may be nested as deeply as the JSON parser allows.
    """
    todo = [("#", one, other)]
    while todo:
        pointer, left, right = todo.pop()
        if isinstance(left, dict) and isinstance(right, dict):
            names = reversed({**left, **right})
            todo += [(f"{pointer}/{name}", left.get(name), right.get(name)) for name in names]
        elif isinstance(left, list) and isinstance(right, list):
            pairs = list(enumerate(zip_longest(left, right)))
            todo += [(f"{pointer}/{index}", *pair) for index, pair in reversed(pairs)]
        elif left != right:
            yield pointer, _apart(left, right)


def _apart(one: object, other: object) -> int:
    """Return the distance of two values; for texts, from shared words, fast at any length."""
    if not isinstance(one, str) or not isinstance(other, str):
        return APART
    words, others = Counter(one.split()), Counter(other.split())
    shared = (words & others).total()
    return APART - shared * APART // max(1, (words | others).total())
