"""Java's order of keys and names of types, as in recordings of Bedrock."""

import random
from decimal import Decimal
from itertools import permutations

import pytest

from invoke_api.validation.java_values import hash_map_order, type_name

# Extraneous keys in the order of a recorded error message (a Claude body sent to another model).
RECORDED = [
    "top_p",
    "system",
    "max_tokens",
    "top_k",
    "temperature",
    "messages",
    "anthropic_version",
]


def test_keys_come_in_the_order_that_bedrock_was_heard_to_name_them() -> None:
    shuffled = random.Random(1).sample(RECORDED, len(RECORDED))

    assert hash_map_order(shuffled) == RECORDED


def test_keys_of_one_bucket_stay_as_they_were_put_in() -> None:
    # "Aa" and "BB" have the same hash in Java.
    assert [hash_map_order(pair) for pair in permutations(["Aa", "BB"])] == [
        ["Aa", "BB"],
        ["BB", "Aa"],
    ]


def test_a_map_of_more_than_twelve_keys_has_a_larger_table() -> None:
    # Hashes of single characters are their numbers: '0' is 48, '@' is 64; 64 & 15 = 0 = 48 & 15.
    assert hash_map_order("@0") == ["@", "0"]
    assert hash_map_order("@0abcdefghijk")[:2] == ["@", "a"]


def test_a_character_beyond_the_first_plane_is_two_units() -> None:
    # Bucket 5 by its two UTF-16 units, 13 if it were one; "8" is in bucket 8.
    assert hash_map_order(["8", "🦜"]) == ["🦜", "8"]


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "Null"),
        (True, "Boolean"),
        (2**31 - 1, "Integer"),
        (2**31, "Long"),
        (-(2**31), "Integer"),
        (2**63, "BigInteger"),
        (-0.0, "Double"),
        (Decimal("1.5"), "BigDecimal"),
        ("", "String"),
        ([], "JSONArray"),
        ({}, "JSONObject"),
    ],
)
def test_a_type_is_called_by_its_java_class(value: object, name: str) -> None:
    assert type_name(value) == name
