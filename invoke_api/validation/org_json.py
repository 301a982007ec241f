"""JSON as Java's org.json writes it, which is how a value that is refused is quoted.

Read off its source (20231013: JSONObject.writeValue, numberToString, quote). Guess that Bedrock's
everit quotes whole objects and lists so: nobody was heard to have sent one where an enum stands.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from math import inf
from typing import Any

from invoke_api.validation.java import LONGEST_KEY, BigInteger, hash_map_order

# Characters of one value in a sentence. Guess: nobody was heard to have sent a longer one, and to
# order and to write millions takes minutes.
LONGEST = 4_096
NUMBERS = (int, float, Decimal, BigInteger)
ESCAPES = {
    character: f"\\{letter}" for character, letter in zip('\\"\b\t\n\f\r', '\\"btnfr', strict=True)
}
# JSONObject.quote: controls of two blocks, a whole block of punctuation, and the slash of `</`.
ESCAPED = re.compile('[\\\\"\0-\x1f\x80-\x9f\u2000-\u20ff]|(?<=<)/')


def shorten(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def to_string(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """`String.valueOf` of a value, shortened: a text as it is, a number with every digit."""
    if isinstance(value, str):
        return shorten(value)
    return shorten(str(value) if type(value) in NUMBERS else write_json(value, LONGEST))


def write_json(value: Any, enough: float = inf) -> str:  # noqa: ANN401 - any JSON value
    """One line, of a value as deep and of numbers as long as a body may have them.

    It breaks off once it is longer than `enough` characters.
    """
    parts: list[str] = []
    inside = [_pieces(value, enough)]
    size = 0
    while inside and size <= enough:  # a stack of its own: Python's has no room for 512 levels
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
    """What is written for a value; a value that stands in it comes alone in a tuple."""
    if isinstance(value, dict):
        # A key takes four characters: of so many, no others are seen.
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
