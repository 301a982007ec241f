"""JSON as Java's org.json writes it, for the rejected values that error messages quote.

Source: the code of org.json 20231013 (JSONObject.writeValue, numberToString, quote). Guess:
Bedrock's everit quotes whole objects and lists like this; no recording has one.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from math import inf
from typing import Any

from invoke_api.validation.java_values import MAX_HASHED_CHARACTERS, BigInteger, hash_map_order

# Guess: no recording has a longer value. Sorting and writing millions of keys would take minutes.
MAX_QUOTED_CHARACTERS = 10_000
NUMBER_TYPES = (int, float, Decimal, BigInteger)
ESCAPE_SEQUENCES = {
    character: f"\\{letter}" for character, letter in zip('\\"\b\t\n\f\r', '\\"btnfr', strict=True)
}
# JSONObject.quote: control characters, U+2000 to U+20FF, and the slash of `</`.
ESCAPED_CHARACTER = re.compile('[\\\\"\0-\x1f\x80-\x9f\u2000-\u20ff]|(?<=<)/')

LITERALS = {None: "null", True: "true", False: "false"}


def shorten(text: str) -> str:
    return text if len(text) <= MAX_QUOTED_CHARACTERS else f"{text[:MAX_QUOTED_CHARACTERS]}..."


def to_string(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return Java's `String.valueOf` of a value, shortened: text unquoted, numbers in full."""
    if isinstance(value, str):
        return shorten(value)
    return shorten(
        str(value) if type(value) in NUMBER_TYPES else write_json(value, MAX_QUOTED_CHARACTERS)
    )


def write_json(value: Any, enough: float = inf) -> str:  # noqa: ANN401 - any JSON value
    """Return a value as one line of JSON, for any depth and length of numbers that a body may have.

    Stop once the line is longer than `enough` characters.
    """
    parts: list[str] = []
    inside = [_pieces(value, enough)]
    size = 0
    while inside and size <= enough:  # an explicit stack: recursion could not reach 512 levels
        piece = next(inside[-1], None)
        if piece is None:
            inside.pop()
        elif isinstance(piece, str):
            parts.append(piece)
            size += len(piece)
        else:
            inside.append(_pieces(piece[0], enough))
    return "".join(parts)


def _pieces(value: Any, enough: float) -> Iterator[str | tuple[Any]]:  # noqa: ANN401 - any JSON value
    """Yield the parts of a value's JSON: text, or an inner value as a tuple of one."""
    if isinstance(value, dict):
        # A member has at least four characters, so later keys would be cut off anyway.
        keys = value if len(value) <= enough else islice(value, int(enough))
        for number, key in enumerate(hash_map_order(keys)):
            yield f"{',' if number else '{'}{_quote(key[:MAX_HASHED_CHARACTERS])}:"
            yield (value[key],)
        yield "}" if value else "{}"
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield "," if number else "["
            yield (inner,)
        yield "]" if value else "[]"
    elif isinstance(value, str):
        yield _quote(value if len(value) <= enough else value[: int(enough) + 1])
    else:
        yield LITERALS[value] if value is None or isinstance(value, bool) else _number(value)


def _number(value: float | Decimal) -> str:
    """Return org.json's `numberToString`, which cuts trailing zeros unless there is an exponent."""
    text = str(value)
    return text.rstrip("0").rstrip(".") if "." in text and "E" not in text.upper() else text


def _quote(text: str) -> str:
    return f'"{ESCAPED_CHARACTER.sub(_escape, text)}"'


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    if character == "/":
        return "\\/"
    return ESCAPE_SEQUENCES.get(character) or f"\\u{ord(character):04x}"
