"""Reading of JSON so that it can be written with the same digits, and writing of any JSON value."""

import json
import re
from collections.abc import Iterator
from functools import partial
from typing import Any, NoReturn

import orjson

# Far below the depth at which JSON writers exhaust their stacks: orjson 254, Python about 900.
MAX_LEVELS = 200
# May be an integer of more than 64 bits, which orjson would read as a float.
LONG_INTEGER = re.compile(rb"\d{18}")


def read_json(raw: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value that `write_json` writes with the same digits.

    Raises `ValueError` for invalid JSON, more than `MAX_LEVELS` levels, a number beyond a double's
    range, or a lone surrogate.
    """
    try:
        value = _read_exactly(raw) if LONG_INTEGER.search(raw) else orjson.loads(raw)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if raw.count(b"[") + raw.count(b"{") > MAX_LEVELS:
        _check_levels(value)
    return value


def _read_exactly(raw: bytes) -> Any:  # noqa: ANN401 - any JSON value
    value = DECODER.decode(raw.decode())
    if b"\\u" in raw:  # raises UnicodeEncodeError, a ValueError, for a lone surrogate
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _to_float(literal: str) -> float:
    number = float(literal)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{literal[:40]} is beyond a double's range")
    return number


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


DECODER = json.JSONDecoder(parse_float=_to_float, parse_constant=_refuse)


def _check_levels(value: Any) -> None:  # noqa: ANN401 - any JSON value
    level = [value]
    for _ in range(MAX_LEVELS):
        level = [child for parent in level for child in _inside(parent)]
        if not level:
            return
    raise ValueError(f"nested deeper than {MAX_LEVELS} levels")


def _inside(parent: Any) -> Iterator[Any]:  # noqa: ANN401 - any JSON value
    values = parent.values() if isinstance(parent, dict) else parent
    if isinstance(parent, dict | list):
        yield from (each for each in values if isinstance(each, dict | list))


def write_json(document: Any, option: int = 0) -> bytes:  # noqa: ANN401 - any JSON value
    """Return compact JSON. orjson writes it with this `option`, or Python if orjson can't."""
    try:
        return orjson.dumps(document, option=option)
    except TypeError:  # an integer beyond 64 bits or a lone surrogate
        is_sorted = bool(option & orjson.OPT_SORT_KEYS)
        write = partial(json.dumps, document, separators=(",", ":"), sort_keys=is_sorted)
        try:
            text = write(ensure_ascii=False).encode()
        except UnicodeEncodeError:
            text = write().encode()
        return text + b"\n" * bool(option & orjson.OPT_APPEND_NEWLINE)
