"""Java details in Bedrock's error messages: names of types, numbers, key order."""

from collections.abc import Iterable
from decimal import Decimal

# Characters of a key that decide its place: all of them, for any realistic key.
LONGEST_KEY = 10_000
SMALLEST_TABLE = 16  # java.util.HashMap's first table; it grows when three quarters are full


class BigInteger(Decimal):
    """A whole number with more digits than Python's int cares to read."""


NAMES = {
    type(None): "Null",
    bool: "Boolean",
    float: "Double",
    Decimal: "BigDecimal",
    BigInteger: "BigInteger",
    str: "String",
    list: "JSONArray",
    dict: "JSONObject",
}


def to_number(literal: str) -> int | float | Decimal:
    """The number that org.json 20230227 and later makes of a JSON literal.

    Whole numbers stay whole, others keep every digit that was written. BigDecimal knows no
    negative zero, so that is a Double.
    """
    if any(mark in literal for mark in ".eE"):
        number = Decimal(literal)
        return -0.0 if number.is_zero() and number.is_signed() else number
    if literal == "-0":
        return -0.0
    try:
        return int(literal)
    except ValueError:  # over 4,300 digits
        return BigInteger(literal)


def type_name(value: object) -> str:
    """What everit calls the type of a JSON value: the simple name of its Java class."""
    if isinstance(value, int) and not isinstance(value, bool):
        if -(2**31) <= value < 2**31:
            return "Integer"
        return "Long" if -(2**63) <= value < 2**63 else "BigInteger"
    return NAMES[type(value)]


def hash_map_order(keys: Iterable[str]) -> list[str]:
    """These keys, given as they were put in, in the order in which a `HashMap` goes over them.

    org.json keeps the keys of an object so, and everit the properties of a schema.
    """
    keys = list(keys)
    table = SMALLEST_TABLE
    while len(keys) > table * 3 // 4:
        table *= 2
    return sorted(keys, key=lambda key: _spread(_string_hash(key)) & (table - 1))


def _string_hash(text: str) -> int:
    """`String.hashCode()`, as an unsigned number; Java hashes UTF-16 units."""
    raw = text[:LONGEST_KEY].encode("utf-16-be", "surrogatepass")
    value = 0
    for at in range(0, len(raw), 2):
        value = (31 * value + int.from_bytes(raw[at : at + 2])) & 0xFFFFFFFF
    return value


def _spread(value: int) -> int:
    return value ^ (value >> 16)
