"""JSON is read exactly or refused, and any value can be written as JSON."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_api.wire.errors import ValidationException
from invoke_api.wire.json_text import MAX_LEVELS, read_json, write_json

BIG = 2**70


@pytest.mark.parametrize("number", [0, -1, 2**63, -(2**63) - 1, 2**64, BIG, -BIG, 10**4_000])
def test_an_integer_keeps_its_digits(number: int) -> None:
    raw = b'{"a":[%d]}' % number

    assert read_json(raw) == {"a": [number]}
    assert write_json(read_json(raw)) == raw


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[NaN]",
        b"[Infinity, 111111111111111111]",
        b"[1e400]",
        b"[1e400, 111111111111111111]",
        b'["\\ud800"]',
        b'["\\ud800", 111111111111111111]',
        b'["\xff", 111111111111111111]',
        b"9" * 5_000,
        b"[" * (MAX_LEVELS + 1) + b"]" * (MAX_LEVELS + 1),
        b'{"a":' * 1_000 + b"1" + b"}" * 1_000,
        b"[" * 100_000 + b"]" * 100_000,
        b"[" * 100_000 + b"1" * 18 + b"]" * 100_000,
        b"[" * 1_000 + b"1" * 18 + b"]" * 1_000,
    ],
    ids=lambda raw: raw[:20].decode("latin-1"),
)
def test_what_could_not_be_written_again_is_not_read(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_json(raw)


def test_as_many_levels_as_allowed_are_read_and_written() -> None:
    for raw in (b"[" * MAX_LEVELS + b"]" * MAX_LEVELS, b'{"a":' * 199 + b"[]" + b"}" * 199):
        assert write_json(read_json(raw)) == raw
        assert json.loads(json.dumps(read_json(raw))) == read_json(raw)


def test_brackets_in_a_text_are_no_levels() -> None:
    assert read_json(b'["' + b"[{" * 500 + b'"]') == ["[{" * 500]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(value=VALUES)
def test_whatever_is_read_is_written_as_the_same_value(value: Any) -> None:
    raw = json.dumps(value).encode()
    try:
        read = read_json(raw)
    except ValueError:  # infinity
        assert b"Infinity" in raw
    else:
        assert read == value
        assert json.loads(write_json(read)) == value


def test_half_of_a_pair_is_written_by_its_number() -> None:
    assert write_json({"b": "\ud800", "a": BIG}) == b'{"b":"\\ud800","a":%d}' % BIG
    assert json.loads(ValidationException("\ud800 é").to_json()) == {"message": "\ud800 é"}
