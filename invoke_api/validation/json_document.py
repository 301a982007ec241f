"""The bytes of a body into a JSON value, as strictly as RFC 8259 and with Java's numbers."""

import json
import re
from decimal import Decimal
from itertools import islice
from typing import Any, NoReturn

from invoke_api.validation.java_values import to_number

DEEPEST = 512  # levels: the limit of org.json since 20231013
# A body of Mistral's has a dozen values. Millions of them hold up everybody else while they are
# read, for the JSON decoder lets nothing else run.
MOST_VALUES = 100_000
# A string, to the end of the document if it has none itself; or what stands between two values, or
# begins one that has others in it.
STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'
STRING_OR_COMMA = re.compile(STRING + b"|,", re.DOTALL)
STRING_OR_OPENING = re.compile(STRING + rb"|[\[{]", re.DOTALL)


class NotJson(ValueError):
    """The bytes are no JSON document, or one that no careful reader takes."""


def parse_json(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """The value.

    Raises `NotJson`, also for a key twice, NaN, a lone surrogate, deep nesting, or too many values.
    """
    opened = body.count(b"[") + body.count(b"{")
    if body.count(b",") > MOST_VALUES:
        _check_values(STRING_OR_COMMA, body)
    if opened > MOST_VALUES:
        _check_values(STRING_OR_OPENING, body)
    try:
        text = body.decode()
        value = _decode(text)
        if "\\u" in text:  # half of a pair may have been spelt
            json.dumps(value, ensure_ascii=False, default=str).encode()
    except (ValueError, ArithmeticError, RecursionError) as error:  # 1e9999999999999999999 is one
        raise NotJson(str(error)) from None
    if opened > DEEPEST:
        _check_depth(value)
    return value


def _decode(text: str) -> Any:  # noqa: ANN401 - any JSON value
    if "-0" in text:
        return CAREFUL.decode(text)
    try:
        return QUICK.decode(text)
    except (json.JSONDecodeError, NotJson):
        raise
    except ValueError:  # a whole number of over 4,300 digits
        return CAREFUL.decode(text)


def _check_values(pattern: re.Pattern[bytes], body: bytes) -> None:
    values = (found for found in pattern.finditer(body) if not found[0].startswith(b'"'))
    if next(islice(values, MOST_VALUES, None), None):
        raise NotJson(f"more than {MOST_VALUES} values")


def _check_depth(value: object) -> None:
    level = [value]
    for _ in range(DEEPEST):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    raise NotJson(f"nested deeper than {DEEPEST} levels")


def _children(parent: object) -> list[object]:
    inside = (
        parent.values() if isinstance(parent, dict) else parent if isinstance(parent, list) else ()
    )
    return [child for child in inside if isinstance(child, dict | list)]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise NotJson("a key stands here twice")  # org.json refuses it too
    return value


def _refuse(constant: str) -> NoReturn:
    raise NotJson(f"{constant} is not JSON")


# The first calls no Python for a number, and so reads millions of them in time.
QUICK = json.JSONDecoder(object_pairs_hook=_unique, parse_float=Decimal, parse_constant=_refuse)
CAREFUL = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=to_number, parse_int=to_number, parse_constant=_refuse
)
