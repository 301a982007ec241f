"""JSON that somebody else wrote, read so that it can be written again, and anything written."""

import json
import re
from collections.abc import Iterator
from functools import partial
from typing import Any, NoReturn

import orjson

# Levels that are read, far below what makes a writer of JSON run out of its stack: orjson's ends at
# 254, Python's at some 900.
MOST_LEVELS = 200
# Digits in a row that may be an integer of more than 64 bits, which orjson reads as a float.
MANY_DIGITS = re.compile(rb"\d{18}")


def read_json(raw: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """A value that `write_json` writes with the same digits.

    Raises `ValueError` for what is no JSON, or too deep, or has a number that no double holds or
    half of a surrogate pair.
    """
    try:
        value = _read_exactly(raw) if MANY_DIGITS.search(raw) else orjson.loads(raw)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if raw.count(b"[") + raw.count(b"{") > MOST_LEVELS:
        _check_levels(value)
    return value


def _read_exactly(raw: bytes) -> Any:  # noqa: ANN401 - any JSON value
    value = DECODER.decode(raw.decode())
    if b"\\u" in raw:  # half of a pair has no UTF-8
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _to_float(literal: str) -> float:
    number = float(literal)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"no double holds {literal[:40]}")
    return number


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


DECODER = json.JSONDecoder(parse_float=_to_float, parse_constant=_refuse)


def _check_levels(value: Any) -> None:  # noqa: ANN401 - any JSON value
    level = [value]
    for _ in range(MOST_LEVELS):
        level = [child for parent in level for child in _inside(parent)]
        if not level:
            return
    raise ValueError(f"nested deeper than {MOST_LEVELS} levels")


def _inside(parent: Any) -> Iterator[Any]:  # noqa: ANN401 - any JSON value
    values = parent.values() if isinstance(parent, dict) else parent
    if isinstance(parent, dict | list):
        yield from (each for each in values if isinstance(each, dict | list))


def write_json(document: Any, option: int = 0) -> bytes:  # noqa: ANN401 - any JSON value
    """Compact JSON by orjson with this `option`; what orjson can't write, by Python's."""
    try:
        return orjson.dumps(document, option=option)
    except TypeError:  # an integer beyond 64 bits, half of a surrogate pair
        is_sorted = bool(option & orjson.OPT_SORT_KEYS)
        write = partial(json.dumps, document, separators=(",", ":"), sort_keys=is_sorted)
        try:
            text = write(ensure_ascii=False).encode()
        except UnicodeEncodeError:
            text = write().encode()
        return text + b"\n" * bool(option & orjson.OPT_APPEND_NEWLINE)
