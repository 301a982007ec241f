"""JSON as Java's org.json writes it, which is how a value that is refused is quoted.

Read off its source (20231013: JSONObject.writeValue, numberToString, quote). Guess that Bedrock's
everit quotes whole objects and lists so: nobody was heard to have sent one where an enum stands.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from invoke_api.validation.java import BigInteger, hash_map_order

NUMBERS = (int, float, Decimal, BigInteger)
ESCAPES = {
    character: f"\\{letter}" for character, letter in zip('\\"\b\t\n\f\r', '\\"btnfr', strict=True)
}
# JSONObject.quote: controls of two blocks, a whole block of punctuation, and the slash of `</`.
ESCAPED = re.compile('[\\\\"\0-\x1f\x80-\x9f\u2000-\u20ff]|(?<=<)/')


def to_string(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """`String.valueOf` of a value: a text as it is, a number with every digit."""
    if isinstance(value, str):
        return value
    return str(value) if type(value) in NUMBERS else write_json(value)


def write_json(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """One line, of a value as deep and of numbers as long as a body may have them."""
    parts: list[str] = []
    inside = [_pieces(value)]
    while inside:  # a stack of its own: Python's has no room for 512 levels behind a request
        piece = next(inside[-1], None)
        if piece is None:
            inside.pop()
        elif isinstance(piece, str):
            parts.append(piece)
        else:
            inside.append(_pieces(piece[0]))
    return "".join(parts)


def _pieces(value: Any) -> Iterator[str | tuple[Any]]:  # noqa: ANN401 - any JSON value
    """What is written for a value; a value that stands in it comes alone in a tuple."""
    if isinstance(value, dict):
        for number, key in enumerate(hash_map_order(value)):
            yield f"{',' if number else '{'}{_quote(key)}:"
            yield (value[key],)
        yield "}" if value else "{}"
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield "," if number else "["
            yield (inner,)
        yield "]" if value else "[]"
    elif isinstance(value, str):
        yield _quote(value)
    else:
        yield LITERALS[value] if value is None or isinstance(value, bool) else _number(value)


LITERALS = {None: "null", True: "true", False: "false"}


def _number(value: float | Decimal) -> str:
    """JSONObject.numberToString: zeros behind a point go, unless there is an exponent."""
    text = str(value)
    return text.rstrip("0").rstrip(".") if "." in text and "E" not in text.upper() else text


def _quote(text: str) -> str:
    return f'"{ESCAPED.sub(_escape, text)}"'


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    if character == "/":
        return "\\/"
    return ESCAPES.get(character) or f"\\u{ord(character):04x}"
