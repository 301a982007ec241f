"""What shows through of Java in Bedrock's sentences: names of types, and the order of keys."""

from collections.abc import Iterable

SMALLEST_TABLE = 16  # java.util.HashMap's first table; it grows when three quarters are full

NAMES = {
    type(None): "Null",
    bool: "Boolean",
    float: "BigDecimal",
    str: "String",
    list: "JSONArray",
    dict: "JSONObject",
}


def type_name(value: object) -> str:
    """What everit calls the type of a JSON value: the simple name of its Java class."""
    if isinstance(value, int) and not isinstance(value, bool):
        return "Integer" if -(2**31) <= value < 2**31 else "Long"
    return NAMES[type(value)]


def hash_map_order(keys: Iterable[str]) -> list[str]:
    """These keys, given as they were put in, in the order in which a `HashMap` goes over them.

    org.json keeps the keys of an object so, and everit names extraneous keys in that order.
    """
    keys = list(keys)
    table = SMALLEST_TABLE
    while len(keys) > table * 3 // 4:
        table *= 2
    return sorted(keys, key=lambda key: _spread(_string_hash(key)) & (table - 1))


def _string_hash(text: str) -> int:
    """`String.hashCode()`, as an unsigned number; Java hashes UTF-16 units."""
    raw = text.encode("utf-16-be", "surrogatepass")
    value = 0
    for at in range(0, len(raw), 2):
        value = (31 * value + int.from_bytes(raw[at : at + 2])) & 0xFFFFFFFF
    return value


def _spread(value: int) -> int:
    return value ^ (value >> 16)
