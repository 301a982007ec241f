"""JSON as Java's org.json writes it; error messages quote rejected values in this form.

Source: the code of org.json 20231013 (JSONObject.writeValue, numberToString, quote). Guess:
Bedrock's everit quotes whole objects and lists like this; no report has one in place of an enum.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from math import inf
from typing import Any

from invoke_api.validation.java_values import LONGEST_KEY, BigInteger, hash_map_order

# Characters of one value in an error message. Guess: no report has a longer one, and sorting and
# writing millions takes minutes.
LONGEST = 10_000
NUMBERS = (int, float, Decimal, BigInteger)
ESCAPES = {
    character: f"\\{letter}" for character, letter in zip('\\"\b\t\n\f\r', '\\"btnfr', strict=True)
}
# JSONObject.quote: two blocks of controls, a whole block of punctuation, and the slash of `</`.
ESCAPED = re.compile('[\\\\"\0-\x1f\x80-\x9f\u2000-\u20ff]|(?<=<)/')


def shorten(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def to_string(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return `String.valueOf` of a value, shortened: text unquoted, numbers with all digits."""
    if isinstance(value, str):
        return shorten(value)
    return shorten(str(value) if type(value) in NUMBERS else write_json(value, LONGEST))


def write_json(value: Any, enough: float = inf) -> str:  # noqa: ANN401 - any JSON value
    """Return a value as one line of JSON, at any depth and number length that a body may have.

    The line breaks off once it is longer than `enough` characters.
    """
    parts: list[str] = []
    inside = [_pieces(value, enough)]
    size = 0
    while inside and size <= enough:  # an explicit stack: Python's has no room for 512 levels
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
        # A member takes at least four characters, so later keys would be cut off anyway.
        keys = value if len(value) <= enough else islice(value, int(enough))
        for number, key in enumerate(hash_map_order(keys)):
            yield f"{',' if number else '{'}{_quote(key[:LONGEST_KEY])}:"
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


LITERALS = {None: "null", True: "true", False: "false"}


def _number(value: float | Decimal) -> str:
    """Return JSONObject.numberToString: no trailing zeros of a fraction without exponent."""
    text = str(value)
    return text.rstrip("0").rstrip(".") if "." in text and "E" not in text.upper() else text


def _quote(text: str) -> str:
    return f'"{ESCAPED.sub(_escape, text)}"'


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    if character == "/":
        return "\\/"
    return ESCAPES.get(character) or f"\\u{ord(character):04x}"
