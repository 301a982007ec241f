"""Edge cases of accepted JSON; refused bodies are in tests/fidelity."""

import time

import pytest

from invoke_api.validation.json_document import (
    MAX_BODY_LEVELS,
    MAX_BODY_VALUES,
    NotJson,
    parse_json,
)


def test_commas_in_a_string_are_no_values() -> None:
    text = "," * (2 * MAX_BODY_VALUES) + '\\",' * MAX_BODY_VALUES

    assert parse_json(f'["{text}", 1]'.encode()) == [text.replace("\\", ""), 1]


def test_as_many_values_as_allowed_are_read() -> None:
    assert len(parse_json(b"[" + b"1," * MAX_BODY_VALUES + b"1]")) == MAX_BODY_VALUES + 1
    with pytest.raises(NotJson, match="more than 100000 values"):
        parse_json(b"[" + b"1," * (MAX_BODY_VALUES + 1) + b"1]")


def test_as_many_levels_as_allowed_are_read() -> None:
    parse_json(b"[" * MAX_BODY_LEVELS + b"]" * MAX_BODY_LEVELS)
    with pytest.raises(NotJson, match="deeper than 512"):
        parse_json(b'{"x":' * (MAX_BODY_LEVELS + 1) + b"1" + b"}" * (MAX_BODY_LEVELS + 1))


def test_brackets_in_a_string_are_no_levels() -> None:
    assert parse_json(b'["' + b"[{" * MAX_BODY_LEVELS + b'"]') == ["[{" * MAX_BODY_LEVELS]


@pytest.mark.parametrize("part", [b'"\\', b'\\"', b'"', b'","', b',"\\\\', b"[,", b'"\\",'])
def test_garbage_takes_no_longer_than_it_is(part: bytes) -> None:
    began = time.monotonic()
    with pytest.raises(NotJson):
        parse_json(b"," * (MAX_BODY_VALUES + 1) + part * 2_000_000)

    assert time.monotonic() - began < 20  # quadratic code would take hours


def test_lists_and_objects_are_values_too() -> None:
    nested = b"[" * 500 + b"]" * 500
    enough = MAX_BODY_VALUES // 500 - 1
    assert len(parse_json(b"[" + b",".join([nested] * enough) + b"]")) == enough
    for many in ([nested] * (enough + 2), [b'{"a":{}}'] * (MAX_BODY_VALUES // 2 + 1)):
        with pytest.raises(NotJson, match="more than 100000 values"):
            parse_json(b"[" + b",".join(many) + b"]")


def test_brackets_in_a_long_string_are_no_values() -> None:
    text = "[{" * MAX_BODY_VALUES

    assert parse_json(f'["{text}"]'.encode()) == [text]
