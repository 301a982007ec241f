"""A strict JSON parser for bodies (RFC 8259), with Java's kinds of numbers."""

import json
import re
from decimal import Decimal
from itertools import islice
from typing import Any, NoReturn

from invoke_api.validation.java_values import to_number

MAX_BODY_LEVELS = 512  # the limit of org.json since 20231013
# A usual body has a dozen values. Millions of values would stall all other requests, because the
# JSON decoder holds the interpreter's lock.
MAX_BODY_VALUES = 100_000
# Matches a string; a string without an end extends to the end of the document.
STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'
STRING_OR_COMMA = re.compile(STRING + b"|,", re.DOTALL)
STRING_OR_OPENING = re.compile(STRING + rb"|[\[{]", re.DOTALL)


class NotJson(ValueError):
    """The error for bytes that are no JSON document, or a document that is refused."""


def parse_json(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value.

    Raises `NotJson`, also for a duplicate key, NaN, a lone surrogate, more than `MAX_BODY_LEVELS`
    levels or more than `MAX_BODY_VALUES` values.
    """
    opened = body.count(b"[") + body.count(b"{")
    if body.count(b",") > MAX_BODY_VALUES:
        _check_values(STRING_OR_COMMA, body)
    if opened > MAX_BODY_VALUES:
        _check_values(STRING_OR_OPENING, body)
    try:
        text = body.decode()
        value = _decode(text)
        if "\\u" in text:  # raises UnicodeEncodeError for an escaped lone surrogate
            json.dumps(value, ensure_ascii=False, default=str).encode()
    except (ValueError, ArithmeticError, RecursionError) as error:  # Decimal: 1e9999999999999999999
        raise NotJson(str(error)) from None
    if opened > MAX_BODY_LEVELS:
        _check_depth(value)
    return value


def _decode(text: str) -> Any:  # noqa: ANN401 - any JSON value
    if "-0" in text:
        return CAREFUL.decode(text)
    try:
        return QUICK.decode(text)
    except (json.JSONDecodeError, NotJson):
        raise
    except ValueError:  # an integer of more than 4,300 digits
        return CAREFUL.decode(text)


def _check_values(pattern: re.Pattern[bytes], body: bytes) -> None:
    values = (found for found in pattern.finditer(body) if not found[0].startswith(b'"'))
    if next(islice(values, MAX_BODY_VALUES, None), None):
        raise NotJson(f"more than {MAX_BODY_VALUES} values")


def _check_depth(value: object) -> None:
    level = [value]
    for _ in range(MAX_BODY_LEVELS):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    raise NotJson(f"nested deeper than {MAX_BODY_LEVELS} levels")


def _children(parent: object) -> list[object]:
    inside = (
        parent.values() if isinstance(parent, dict) else parent if isinstance(parent, list) else ()
    )
    return [child for child in inside if isinstance(child, dict | list)]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise NotJson("duplicate key")  # org.json refuses it, too
    return value


def _refuse(constant: str) -> NoReturn:
    raise NotJson(f"{constant} is not JSON")


# QUICK calls no Python code for an integer, so that many numbers are parsed fast.
QUICK = json.JSONDecoder(object_pairs_hook=_unique, parse_float=Decimal, parse_constant=_refuse)
CAREFUL = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=to_number, parse_int=to_number, parse_constant=_refuse
)
