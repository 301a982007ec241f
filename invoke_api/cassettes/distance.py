"""How far two JSON values are apart, place by place."""

from collections import Counter
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

# A place that differs, in whole numbers: their sum is the same in whatever order it is made.
APART = 1 << 36


def distance(one: object, other: object) -> int:
    """`APART` for each place that differs, less for texts that share words."""
    return sum(apart for _, apart in _compare(one, other))


def differences(one: object, other: object) -> Iterator[str]:
    """JSON pointers to the places in which two values differ."""
    return (pointer for pointer, _ in _compare(one, other))


def _compare(one: Any, other: Any) -> Iterator[tuple[str, int]]:  # noqa: ANN401 - any JSON
    """Without recursion: a body may be nested as deep as JSON is read."""
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
    """From the words that two texts share, which is quick at any length."""
    if not isinstance(one, str) or not isinstance(other, str):
        return APART
    words, others = Counter(one.split()), Counter(other.split())
    shared = (words & others).total()
    return APART - shared * APART // max(1, (words | others).total())
