"""Java details in Bedrock's error messages: names of types, numbers, key order."""

from collections.abc import Iterable
from decimal import Decimal

# The length of a key; realistic keys are shorter.
MAX_HASHED_CHARACTERS = 10_000
FIRST_TABLE_SIZE = 16  # java.util.HashMap's first table; it grows when three quarters are full


class BigInteger(Decimal):
    """An integer of more than 4,300 digits, which Python's `int` refuses to parse."""


JAVA_CLASSES = {
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
    """Return the number that org.json 20230227 and later makes of a JSON literal.

    Integers stay integers; other numbers keep every digit. A negative zero is a float, because
    Java's BigDecimal has none.
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
    """Return everit's name for the type of a JSON value: the simple name of its Java class."""
    if isinstance(value, int) and not isinstance(value, bool):
        if -(2**31) <= value < 2**31:
            return "Integer"
        return "Long" if -(2**63) <= value < 2**63 else "BigInteger"
    return JAVA_CLASSES[type(value)]


def hash_map_order(keys: Iterable[str]) -> list[str]:
    """Return the keys, given in the order of insertion, in the order of a Java `HashMap`.

    org.json stores an object's keys in one, and everit a schema's properties.
    """
    keys = list(keys)
    table = FIRST_TABLE_SIZE
    while len(keys) > table * 3 // 4:
        table *= 2
    return sorted(keys, key=lambda key: _spread(_string_hash(key)) & (table - 1))


def _string_hash(text: str) -> int:
    """Return Java's `String.hashCode()` as an unsigned number. Java hashes UTF-16 units."""
    raw = text[:MAX_HASHED_CHARACTERS].encode("utf-16-be", "surrogatepass")
    value = 0
    for at in range(0, len(raw), 2):
        value = (31 * value + int.from_bytes(raw[at : at + 2])) & 0xFFFFFFFF
    return value


def _spread(value: int) -> int:
    return value ^ (value >> 16)
