"""Search for the nearest of many JSON values, by their distance over the places that differ."""

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


Numbers = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Texts:
    """Index of texts by their words. Each text has a number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._totals = array("q")
        self._where: dict[str, tuple[array[int], array[int]]] = {}  # by word: texts, counts

    def add(self, text: str) -> int:
        number = self._numbers.setdefault(text, len(self._numbers))
        if number == len(self._totals):
            words = Counter(text.split())
            self._totals.append(words.total())
            for word, count in words.items():
                texts, counts = self._where.setdefault(word, (array("i"), array("i")))
                texts.append(number)
                counts.append(count)
        return number

    def apart(self, text: str) -> Numbers:
        """Return the distance of each text from this one."""
        shared = np.zeros(len(self._totals), np.int64)
        words = Counter(text.split())
        for word, count in words.items():
            if word in self._where:
                texts, counts = (np.frombuffer(each, np.int32) for each in self._where[word])
                shared[texts] += np.minimum(counts, count)
        union = np.frombuffer(self._totals, np.int64) + words.total() - shared
        apart: Numbers = APART - shared * APART // np.maximum(union, 1)
        if text in self._numbers:
            apart[self._numbers[text]] = 0
        return apart


class Place:
    """A place in JSON, with the contents of all values there. null counts as absent."""

    def __init__(self) -> None:
        self.texts = (array("i"), array("i"))  # numbers of values, and of their texts
        self.others = (array("i"), array("i"))  # likewise for numbers, true and false
        self.objects = array("i")
        self.lists = array("i")
        self.members: dict[str, Place] = {}
        self.items: list[Place] = []

    def all(self) -> Iterator[NDArray[np.int32]]:
        for there in (self.texts[0], self.others[0], self.objects, self.lists):
            yield np.frombuffer(there, np.int32)


class Columns:
    """Many JSON values, indexed to find the one nearest to another. Thread-safe."""

    def __init__(self, values: Sequence[Any]) -> None:
        self._size = len(values)
        self._texts = Texts()
        self._others: dict[object, int] = {}
        self._root = Place()
        for number, value in enumerate(values):
            self._add(number, value)

    def nearest(self, value: Any) -> int:  # noqa: ANN401 - any JSON
        """Return the number of the value with the least `distance`, the first of equals."""
        return int(Search(self._size, self._texts, self._others, self._root).run(value).argmin())

    def _add(self, number: int, whole: Any) -> None:  # noqa: ANN401 - any JSON
        todo = [(self._root, whole)]
        while todo:
            place, value = todo.pop()
            if isinstance(value, dict):
                place.objects.append(number)
                for name, member in value.items():
                    todo.append((place.members.setdefault(name, Place()), member))
            elif isinstance(value, list):
                place.lists.append(number)
                place.items += [Place() for _ in range(len(value) - len(place.items))]
                todo += zip(place.items, value, strict=False)
            elif isinstance(value, str):
                place.texts[0].append(number)
                place.texts[1].append(self._texts.add(value))
            elif value is not None:
                place.others[0].append(number)
                place.others[1].append(self._others.setdefault(value, len(self._others)))


class Search:
    """One search for the nearest value, with the distances so far of all values."""

    def __init__(self, size: int, texts: Texts, others: dict[object, int], root: Place) -> None:
        self._texts = texts
        self._others = others
        self._root = root
        self._distances: Numbers = np.zeros(size, np.int64)
        self._apart: dict[str, Numbers] = {}

    def run(self, whole: Any) -> Numbers:  # noqa: ANN401 - any JSON
        todo: list[tuple[Place, Any, Mask]] = [
            (self._root, whole, np.ones(len(self._distances), bool))
        ]
        while todo:
            place, value, among = todo.pop()
            if isinstance(value, dict):
                there = self._those(place.objects, among)
                known = [(place.members[name], value.get(name)) for name in place.members]
                new = [member for name, member in value.items() if name not in place.members]
            elif isinstance(value, list):
                there = self._those(place.lists, among)
                filled = value + [None] * (len(place.items) - len(value))
                known = list(zip(place.items, filled, strict=False))
                new = value[len(place.items) :]
            else:
                self._add_plain(place, value, among)
                continue
            if there.any():
                self._distances[there] += APART * sum(each is not None for each in new)
                todo += [(below, each, there) for below, each in known]
        return self._distances

    def _those(self, numbers: "array[int]", among: Mask) -> Mask:
        """Return the values `among` these with the same kind of content in this place.

        Adds `APART` to the distances of the others.
        """
        there = np.zeros_like(among)
        there[np.frombuffer(numbers, np.int32)] = True
        self._distances[among & ~there] += APART
        there &= among
        return there

    def _add_plain(self, place: Place, value: object, among: Mask) -> None:
        if value is None:
            for numbers in place.all():
                self._distances[numbers[among[numbers]]] += APART
            return
        distances = np.full_like(self._distances, APART)
        if isinstance(value, str):
            numbers, texts = (np.frombuffer(each, np.int32) for each in place.texts)
            if len(numbers):
                distances[numbers] = self._apart_from(value)[texts]
        elif value in self._others:
            numbers, others = (np.frombuffer(each, np.int32) for each in place.others)
            distances[numbers[others == self._others[value]]] = 0
        np.add(self._distances, distances, out=self._distances, where=among)

    def _apart_from(self, text: str) -> Numbers:
        if text not in self._apart:
            self._apart[text] = self._texts.apart(text)
        return self._apart[text]
