"""Random JSON with odd numbers, texts, depths and keys, which careless parsers fail on."""

import json
from collections.abc import Callable
from random import Random
from typing import Any


class Raw(str):
    """Text that is written as it is in place of a JSON value, maybe invalid."""

    __slots__ = ()


HUGE = "9" * 5_000  # more digits than Python's `int` parses
DEEP = 10_000  # levels
LONG = 1_000_000  # characters

NUMBERS = [
    *("0", "-0", "1", "-1", "0.5", "5.0", "-0.0", "0e0", "2147483648", "1e2", "1E-7"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775809"),
    *("18446744073709551615", "18446744073709551616", str(2**70), str(-(2**200))),
    *("1e400", "-1e400", "1e-400", "1e308", "1.7976931348623157e309", "0.1e-99999", "1e99999"),
    *("9" * 400, "-" + "9" * 400, "1." + "0" * 400 + "1", "1e9999999999999999999"),
]
BROKEN = [
    *("NaN", "Infinity", "-Infinity", "01", "+1", ".5", "1.", "0x10", "1e", "--1", "undefined", ""),
    *('"\\x"', '"\\u12"', '"', '"a\nb"', "tru", '{"a":1,"a":2}', '"\\ud800"', '"\\udc00\\ud800"'),
    *(
        "{",
        "[",
        "]",
        "[1,]",
        '{"a":}',
        "1 2",
        "'a'",
        '"\ud800"',
        "\ufeff1",
        "{1:2}",
        "/**/1",
        "\x00",
    ),
]
STRINGS = [
    *('""', '" "', '"a"', '"null"', '"1"', '"\\u0000"'),
    *('"\\ud83d\\ude00"', '"é🦜"', '"\\"\\\\\\/\\b\\f\\n\\r\\t"'),
    *('"{0}{}{x}%s%(a)s"', '"<s>[INST]"', '"[TOOL_CALLS]"', '"[TOOL_CALLS] [{}]"', '"[ARGS]"'),
    *('"../../etc/passwd"', '"a\\u202eb"', '"\ufeff"', '"' + "a" * 300 + '"', '"\\uffff"'),
    *(
        '"text"',
        '"function"',
        '"user"',
        '"assistant"',
        '"tool"',
        '"any"',
        '"none"',
        '"json_schema"',
    ),
    *('"data:image/png;base64,"', '"AAAA"', '"====="', '"\u2581"', '"\u00a0"', '"\x7f"'),
]
WORDS = ["null", "true", "false", "[]", "{}", "[null]", "[[]]", '{"":0}']
WHOLE = ["[" * 600 + "]" * 600, '{"a":' * 600 + "1" + "}" * 600, "[" * 300 + "]" * 300]
# Rare, because they are slow to make, to parse and to quote.
LARGE: list[Callable[[], str]] = [
    lambda: HUGE,
    lambda: "-" + HUGE,
    lambda: HUGE + "." + HUGE,
    lambda: "1e" + HUGE,
    lambda: "[" * DEEP + "]" * DEEP,
    lambda: '{"a":' * DEEP + "1" + "}" * DEEP,
    lambda: "[" * DEEP,
    lambda: '"' + "x" * LONG + '"',
    lambda: '"' + "\\u0000" * (LONG // 10) + '"',
    lambda: "[" + ",".join(["0"] * 20_000) + "]",
    lambda: "{" + ",".join(f'"{number}":0' for number in range(20_000)) + "}",
]
KEYS = [
    *("", "a", "type", "text", "name", "content", "prompt", "messages", "stop", "max_tokens"),
    *("\\u0000", "é", "🦜", "$ref", "$schema", "__proto__", "a/b~c", "{}", "0", "-1"),
    *("k" * 300, "toolUse", "json", "input", "properties", "$defs", "anyOf", "enum", "pattern"),
]


def draw(random: Random, depth: int = 3) -> Raw:
    """Return a random value, valid JSON or nearly."""
    if random.random() < 0.003:
        return Raw(random.choice(LARGE)())
    kind = random.choices(list(SHARES), list(SHARES.values()))[0]
    if isinstance(kind, str):
        return _nest(random, kind, depth) if depth else Raw("null")
    return Raw(random.choice(kind))


# Weights of the kinds of values; "list" and "object" contain other values.
SHARES: dict[Any, int] = {
    tuple(WHOLE): 1,
    tuple(BROKEN): 1,
    tuple(NUMBERS): 33,
    tuple(STRINGS): 25,
    tuple(WORDS): 11,
    "list": 13,
    "object": 16,
}


def _nest(random: Random, kind: str, depth: int) -> Raw:
    several = range(random.randrange(4))
    if kind == "list":
        return Raw("[" + ",".join(draw(random, depth - 1) for _ in several) + "]")
    members = (f'"{random.choice(KEYS)}":{draw(random, depth - 1)}' for _ in several)
    return Raw("{" + ",".join(members) + "}")


def write(value: Any) -> str:
    """Return JSON with each `Raw` written as it is."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_key(key)}:{write(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(write, value)) + "]"
    return json.dumps(value)


def _key(key: str) -> str:
    return f'"{key}"' if isinstance(key, Raw) else json.dumps(key)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths to all values in a document, including the document itself."""
    found = [path]
    if isinstance(value, dict | list):
        for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
            found += places(inner, (*path, step))
    return found
