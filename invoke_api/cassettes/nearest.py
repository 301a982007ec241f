"""Search many JSON values for the one nearest to another, by the nodes in which they differ."""

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The distance of one node that differs. An integer, so that a sum does not depend on the order.
NODE_DISTANCE = 1 << 36


def distance(one: object, other: object) -> int:
    """Return the sum of the distances of all nodes that differ.

    Each is `NODE_DISTANCE`, and less for texts that share words.
    """
    return sum(each for _, each in _compare(one, other))


def differences(one: object, other: object) -> Iterator[str]:
    """Yield JSON pointers to the nodes in which two values differ."""
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
            yield pointer, _value_distance(left, right)


def _value_distance(one: object, other: object) -> int:
    """Return the distance of two values; for texts, from shared words, fast at any length."""
    if not isinstance(one, str) or not isinstance(other, str):
        return NODE_DISTANCE
    words, others = Counter(one.split()), Counter(other.split())
    shared = (words & others).total()
    return NODE_DISTANCE - shared * NODE_DISTANCE // max(1, (words | others).total())


Numbers = NDArray[np.int64]
Mask = NDArray[np.bool_]


class TextIndex:
    """An index of texts by their words. Each text has a number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._totals = array("q")
        self._postings: dict[str, tuple[array[int], array[int]]] = {}  # by word: texts, counts

    def add(self, text: str) -> int:
        number = self._numbers.setdefault(text, len(self._numbers))
        if number == len(self._totals):
            words = Counter(text.split())
            self._totals.append(words.total())
            for word, count in words.items():
                texts, counts = self._postings.setdefault(word, (array("i"), array("i")))
                texts.append(number)
                counts.append(count)
        return number

    def distances_from(self, text: str) -> Numbers:
        """Return the distance of each text from this one."""
        shared = np.zeros(len(self._totals), np.int64)
        words = Counter(text.split())
        for word, count in words.items():
            if word in self._postings:
                texts, counts = (np.frombuffer(each, np.int32) for each in self._postings[word])
                shared[texts] += np.minimum(counts, count)
        union = np.frombuffer(self._totals, np.int64) + words.total() - shared
        distances: Numbers = NODE_DISTANCE - shared * NODE_DISTANCE // np.maximum(union, 1)
        if text in self._numbers:
            distances[self._numbers[text]] = 0
        return distances


class JsonNode:
    """A node of JSON documents, with the contents that all values have there. null is absent."""

    def __init__(self) -> None:
        self.texts = (array("i"), array("i"))  # numbers of values, and of their texts
        self.others = (array("i"), array("i"))  # likewise for numbers, true and false
        self.objects = array("i")
        self.lists = array("i")
        self.members: dict[str, JsonNode] = {}
        self.items: list[JsonNode] = []

    def all(self) -> Iterator[NDArray[np.int32]]:
        for there in (self.texts[0], self.others[0], self.objects, self.lists):
            yield np.frombuffer(there, np.int32)


class JsonIndex:
    """An index of JSON values, which finds the one nearest to another. Thread-safe."""

    def __init__(self, values: Sequence[Any]) -> None:
        self._size = len(values)
        self._texts = TextIndex()
        self._others: dict[object, int] = {}
        self._root = JsonNode()
        for number, value in enumerate(values):
            self._add(number, value)

    def nearest(self, value: Any) -> int:  # noqa: ANN401 - any JSON
        """Return the number of the value with the least `distance`, the first of equals."""
        search = NearestSearch(self._size, self._texts, self._others, self._root)
        return int(search.run(value).argmin())

    def _add(self, number: int, whole: Any) -> None:  # noqa: ANN401 - any JSON
        todo = [(self._root, whole)]
        while todo:
            node, value = todo.pop()
            if isinstance(value, dict):
                node.objects.append(number)
                for name, member in value.items():
                    todo.append((node.members.setdefault(name, JsonNode()), member))
            elif isinstance(value, list):
                node.lists.append(number)
                node.items += [JsonNode() for _ in range(len(value) - len(node.items))]
                todo += zip(node.items, value, strict=False)
            elif isinstance(value, str):
                node.texts[0].append(number)
                node.texts[1].append(self._texts.add(value))
            elif value is not None:
                node.others[0].append(number)
                node.others[1].append(self._others.setdefault(value, len(self._others)))


class NearestSearch:
    """A search for the nearest value. Holds the distances of all values so far."""

    def __init__(
        self, size: int, texts: TextIndex, others: dict[object, int], root: JsonNode
    ) -> None:
        self._texts = texts
        self._others = others
        self._root = root
        self._distances: Numbers = np.zeros(size, np.int64)
        self._by_text: dict[str, Numbers] = {}

    def run(self, whole: Any) -> Numbers:  # noqa: ANN401 - any JSON
        todo: list[tuple[JsonNode, Any, Mask]] = [
            (self._root, whole, np.ones(len(self._distances), bool))
        ]
        while todo:
            node, value, among = todo.pop()
            if isinstance(value, dict):
                there = self._select(node.objects, among)
                known = [(node.members[name], value.get(name)) for name in node.members]
                new = [member for name, member in value.items() if name not in node.members]
            elif isinstance(value, list):
                there = self._select(node.lists, among)
                filled = value + [None] * (len(node.items) - len(value))
                known = list(zip(node.items, filled, strict=False))
                new = value[len(node.items) :]
            else:
                self._add_plain(node, value, among)
                continue
            if there.any():
                self._distances[there] += NODE_DISTANCE * sum(each is not None for each in new)
                todo += [(below, each, there) for below, each in known]
        return self._distances

    def _select(self, numbers: "array[int]", among: Mask) -> Mask:
        """Return the values `among` these that are in `numbers`: same kind of content in a node.

        Adds `NODE_DISTANCE` to the distances of the others.
        """
        there = np.zeros_like(among)
        there[np.frombuffer(numbers, np.int32)] = True
        self._distances[among & ~there] += NODE_DISTANCE
        there &= among
        return there

    def _add_plain(self, node: JsonNode, value: object, among: Mask) -> None:
        if value is None:
            for numbers in node.all():
                self._distances[numbers[among[numbers]]] += NODE_DISTANCE
            return
        distances = np.full_like(self._distances, NODE_DISTANCE)
        if isinstance(value, str):
            numbers, texts = (np.frombuffer(each, np.int32) for each in node.texts)
            if len(numbers):
                distances[numbers] = self._text_distances(value)[texts]
        elif value in self._others:
            numbers, others = (np.frombuffer(each, np.int32) for each in node.others)
            distances[numbers[others == self._others[value]]] = 0
        np.add(self._distances, distances, out=self._distances, where=among)

    def _text_distances(self, text: str) -> Numbers:
        if text not in self._by_text:
            self._by_text[text] = self._texts.distances_from(text)
        return self._by_text[text]
