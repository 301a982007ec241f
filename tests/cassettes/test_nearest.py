"""The index finds the same nearest value as a comparison with each value."""

import json
import time
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_api.cassettes.matcher import CassetteLibrary, to_cassettes, to_comparable
from invoke_api.cassettes.nearest import NODE_DISTANCE, JsonIndex, differences, distance
from tests.cassettes.test_reader import a_recording

WORDS = st.lists(st.sampled_from(["the", "weather", "in", "Oslo", "Paris", "?"]), max_size=6)
TEXTS = WORDS.map(" ".join) | st.sampled_from(["", " ", "\n", "Oslo  Oslo"])
PLAIN = st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from([0.0, 1.0, 1.5]) | TEXTS
NAMES = st.sampled_from(["prompt", "messages", "a", "0", "1"])
VALUES: Any = st.recursive(
    PLAIN,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(NAMES, below, max_size=3),
    max_leaves=8,
)
BODIES = st.dictionaries(NAMES, VALUES, max_size=4) | VALUES | st.just(b"\xff")


def first_of(values: list[Any], asked: object) -> int:
    """Return the nearest value by comparing with each."""
    return min(range(len(values)), key=lambda number: distance(values[number], asked))


@given(values=st.lists(BODIES, min_size=1, max_size=12), asked=BODIES)
def test_the_nearest_is_the_first_of_the_least_distance(values: list[Any], asked: object) -> None:
    assert JsonIndex(values).nearest(asked) == first_of(values, asked)


@given(values=st.lists(BODIES, min_size=2, max_size=6), data=st.data())
def test_each_indexed_value_finds_itself_or_an_equal_one(
    values: list[Any], data: st.DataObject
) -> None:
    asked = data.draw(st.sampled_from(values))

    assert distance(values[JsonIndex(values).nearest(asked)], asked) == 0


def test_columns_may_be_asked_again() -> None:
    values = [{"prompt": "one two"}, {"prompt": "three"}]
    columns = JsonIndex(values)

    assert [columns.nearest(values[number]) for number in (1, 0, 1)] == [1, 0, 1]


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ({"a": 1}, {"a": True}, 0),
        ({"a": None}, {}, 0),
        ({"a": {"b": 1, "c": 2}}, {}, NODE_DISTANCE),
        ([1, 2, 3], [1], 2 * NODE_DISTANCE),
        ("one two", "two three", NODE_DISTANCE - NODE_DISTANCE // 3),
        ("", " ", NODE_DISTANCE),
        ({"0": 1}, [1], NODE_DISTANCE),
    ],
)
def test_how_far_two_values_are_apart(one: object, other: object, apart: int) -> None:
    assert distance(one, other) == distance(other, one) == apart


def test_values_may_be_nested_as_deep_as_json_is_read() -> None:
    deep: Any = "end"
    for _ in range(5_000):
        deep = {"a": [deep]}
    other: Any = "another end"
    for _ in range(5_000):
        other = {"a": [other]}

    assert JsonIndex([other, deep, 7]).nearest(deep) == 1
    assert list(differences(deep, other)) == ["#" + "/a/0" * 5_000]


def test_a_body_of_many_places_that_are_new_is_quick() -> None:
    asked = {"values": list(range(100_000)), **{f"name{n}": n for n in range(100_000)}}
    columns = JsonIndex([{"values": [1]}] * 1_000)
    began = time.process_time()

    assert columns.nearest(asked) == 0
    assert time.process_time() - began < 5  # seconds; 0.05 as a rule


def prompts(count: int) -> list[str]:
    random = Random(7)
    words = [f"word{number}" for number in range(3_000)]
    weights = [1 / rank for rank in range(1, 3_001)]  # as in any language
    return [" ".join(random.choices(words, weights, k=100)) for _ in range(count)]


@pytest.mark.slow
def test_a_miss_among_ten_thousand_recordings_is_quick() -> None:
    asked, *told = prompts(10_001)
    recordings = [a_recording(json.dumps({"prompt": text, "n": 1}).encode()) for text in told]
    named = [(str(number), each) for number, each in enumerate(recordings)]
    shelf = CassetteLibrary(to_cassettes(named, lambda *_: None), nearest=True)
    body = {"prompt": asked, "n": 2}
    request = to_comparable("POST", recordings[0].path, (), json.dumps(body).encode())
    times = []
    for _ in range(3):
        began = time.process_time()
        found = shelf.compare(request)
        times.append(time.process_time() - began)

    assert int(found.cassette.where) == first_of([{"prompt": text, "n": 1} for text in told], body)
    assert found.differences == ("#/prompt", "#/n")
    assert min(times) < 0.5  # seconds; 2.65 by comparing with each, 0.01 as a rule
