"""Bodies that break their model's schema, and Bedrock's message about each."""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.fidelity.case import GUESS, Case, invalid
from tests.support.servers import LARGE, MIXTRAL, SEVEN_B, SMALL

EVERIT = "everit-org/json-schema 1.14.6, source"
GUIDE = "the User Guide's bounds in everit's words"
MODELS = {"7B": SEVEN_B, "Mixtral": MIXTRAL, "Small": SMALL, "Large": LARGE}
MOST_TOKENS = {"7B": 8192, "Mixtral": 4096, "Small": 8192, "Large": 8192}


def malformed(*violations: str) -> str:
    """Return Bedrock's message for a body that breaks its schema, or that is no JSON."""
    told = ": " + "".join(violations) if violations else ""
    return f"Malformed input request{told}, please reformat your input and try again."


def case(
    name: str,
    body: bytes | Mapping[str, Any],
    *violations: str,
    seen: str = GUESS,
    why: str = EVERIT,
    model: str = SEVEN_B,
) -> Case:
    why = why if seen == GUESS else ""
    return invalid(name, malformed(*violations), seen, why=why, body=body, model=model)


def not_found(key: str) -> str:
    return f"#: required key [{key}] not found"


def extraneous(*keys: str) -> str:
    return "".join(f"#: extraneous key [{key}] is not permitted" for key in keys)


def of_each_model() -> Iterator[Case]:
    for name, model in MODELS.items():
        most = MOST_TOKENS[name]
        for key, value, said in (
            ("max_tokens", 0, "0 is not greater or equal to 1"),
            ("max_tokens", -1, "-1 is not greater or equal to 1"),
            ("max_tokens", most + 1, f"{most + 1} is not less or equal to {most}"),
            ("temperature", -0.5, "-0.5 is not greater or equal to 0"),
            ("temperature", 1.5, "1.5 is not less or equal to 1"),
            ("temperature", 2, "2 is not less or equal to 1"),
            ("top_p", -1, "-1 is not greater or equal to 0"),
            ("top_p", 1.1, "1.1 is not less or equal to 1"),
            ("top_k", 0, "0 is not greater or equal to 1"),
            ("top_k", 201, "201 is not less or equal to 200"),
            ("stop", ["x"] * 11, "expected maximum item count: 10, found: 11"),
            ("max_tokens", "5", "expected type: Integer, found: String"),
            ("max_tokens", None, "expected type: Integer, found: Null"),
            ("temperature", None, "expected type: Number, found: Null"),
            ("stop", None, "expected type: JSONArray, found: Null"),
        ):
            shown = "eleven" if key == "stop" and value else value
            body = {"prompt": "Hi", key: value}
            yield case(f"{name}: {key} {shown}", body, f"#/{key}: {said}", why=GUIDE, model=model)


TYPES: list[Case] = [
    case(f"{key} is {shown}", {"prompt": "Hi", key: value}, f"#/{key}: {said}")
    for key, shown, value, said in (
        ("prompt", "null", None, "expected type: String, found: Null"),
        ("prompt", "a number", 1, "expected type: String, found: Integer"),
        ("prompt", "a long", 2**31, "expected type: String, found: Long"),
        ("prompt", "a negative long", -(2**63), "expected type: String, found: Long"),
        ("prompt", "a big integer", 2**63, "expected type: String, found: BigInteger"),
        ("prompt", "a decimal", 1.5, "expected type: String, found: BigDecimal"),
        ("prompt", "true", True, "expected type: String, found: Boolean"),
        ("prompt", "an array", ["Hi"], "expected type: String, found: JSONArray"),
        ("prompt", "an object", {"text": "Hi"}, "expected type: String, found: JSONObject"),
        ("max_tokens", "a decimal", 5.5, "expected type: Integer, found: BigDecimal"),
        ("max_tokens", "true", True, "expected type: Integer, found: Boolean"),
        ("max_tokens", "a long", 2**40, f"{2**40} is not less or equal to 8192"),
        ("max_tokens", "a big integer", 2**70, f"{2**70} is not less or equal to 8192"),
        ("temperature", "a string", "0.5", "expected type: Number, found: String"),
        ("temperature", "true", True, "expected type: Number, found: Boolean"),
        ("top_p", "an object", {}, "expected type: Number, found: JSONObject"),
        ("top_k", "a decimal", 1.5, "expected type: Integer, found: BigDecimal"),
        ("stop", "a string", "x", "expected type: JSONArray, found: String"),
        ("stop", "an object", {}, "expected type: JSONArray, found: JSONObject"),
    )
]

NUMBERS = [
    case(
        "5.0 is no integer",
        b'{"prompt":"Hi","max_tokens":5.0}',
        "#/max_tokens: expected type: Integer, found: BigDecimal",
    ),
    case(
        "1e2 is no integer",
        b'{"prompt":"Hi","max_tokens":1e2}',
        "#/max_tokens: expected type: Integer, found: BigDecimal",
    ),
    case(
        "-0 is a double",
        b'{"prompt":"Hi","max_tokens":-0}',
        "#/max_tokens: expected type: Integer, found: Double",
    ),
    case(
        "a decimal keeps its digits",
        b'{"prompt":"Hi","temperature":1.50}',
        "#/temperature: 1.50 is not less or equal to 1",
    ),
    case(
        "an exponent is written as BigDecimal does",
        b'{"prompt":"Hi","temperature":1e2}',
        "#/temperature: 1E+2 is not less or equal to 1",
    ),
    case(
        "more than a double holds",
        b'{"prompt":"Hi","temperature":1e400}',
        "#/temperature: 1E+400 is not less or equal to 1",
    ),
    case(
        "a number of 4,000 digits",
        b'{"prompt":"Hi","max_tokens":' + b"1" * 4_000 + b"}",
        f"#/max_tokens: {'1' * 4_000} is not less or equal to 8192",
    ),
    case(
        "a number of 5,000 digits",
        b'{"prompt":"Hi","top_k":' + b"7" * 5_000 + b"}",
        f"#/top_k: {'7' * 5_000} is not less or equal to 200",
    ),
    case(
        "a decimal stops the check of bounds",
        {"prompt": "Hi", "top_k": 999.5},
        "#/top_k: expected type: Integer, found: BigDecimal",
    ),
]

KEYS = [
    case("nothing", {}, not_found("prompt"), why="the required key alone"),
    case(
        "inputText",
        {"inputText": "Hi"},
        not_found("prompt"),
        extraneous("inputText"),
        seen="a client's branch for mistral, 2024",
    ),
    case(
        "topP",
        {"prompt": "Hi", "topP": 0.9},
        extraneous("topP"),
        seen="BerriAI/litellm PR #2290, 2024-03",
    ),
    case(
        "frequency_penalty",
        {"prompt": "Hi", "frequency_penalty": 1},
        extraneous("frequency_penalty"),
        seen="stdapi-ai/stdapi.ai, 2026-07-31, of an unnamed text model through Converse",
    ),
    *(
        case(key, {"prompt": "Hi", key: 1}, extraneous(key))
        for key in ("n", "stream", "model", "seed", "maxTokens", "safe_prompt", "min_p", "", "#/é")
    ),
    case("messages", {"messages": []}, not_found("prompt"), extraneous("messages")),
    case(
        "keys come in the order of Java's HashMap",
        {
            "prompt": "Hi",
            **dict.fromkeys(("messages", "anthropic_version", "system", "stop_sequences"), 1),
        },
        extraneous("stop_sequences", "system", "messages", "anthropic_version"),
    ),
    case(
        "thirteen keys make a larger table",
        {"prompt": "Hi", **dict.fromkeys("abcdefghijkl", 1)},
        extraneous(*"abcdefghijkl"),
    ),
    case(
        "keys of one bucket stay in order",
        {"prompt": "Hi", "BB": 1, "Aa": 2},
        extraneous("BB", "Aa"),
    ),
    case(
        "a chat body",
        {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 10},
        not_found("prompt"),
        extraneous("messages"),
    ),
]

ORDER = [
    case(
        "required, then extraneous, then properties",
        {"max_tokens": 0, "x": 1},
        not_found("prompt"),
        extraneous("x"),
        "#/max_tokens: 0 is not greater or equal to 1",
    ),
    case(
        "properties come in the order of Java's HashMap",
        {
            "prompt": 1,
            "max_tokens": 0,
            "stop": "x",
            "temperature": 2,
            "top_p": 2,
            "top_k": 0,
        },
        "#/top_p: 2 is not less or equal to 1",
        "#/stop: expected type: JSONArray, found: String",
        "#/max_tokens: 0 is not greater or equal to 1",
        "#/top_k: 0 is not greater or equal to 1",
        "#/temperature: 2 is not less or equal to 1",
        "#/prompt: expected type: String, found: Integer",
    ),
    case(
        "one wrong item",
        {"prompt": "Hi", "stop": ["a", 1]},
        "#/stop/1: expected type: String, found: Integer",
    ),
    case(
        "several violations of one property come last",
        {"prompt": 1, "stop": [None, "a", 1.5]},
        "#/prompt: expected type: String, found: Integer",
        "#/stop/0: expected type: String, found: Null",
        "#/stop/2: expected type: String, found: BigDecimal",
    ),
    case(
        "too many items, and wrong ones",
        {"prompt": "Hi", "stop": [1] * 11},
        "#/stop: expected maximum item count: 10, found: 11",
        *(f"#/stop/{index}: expected type: String, found: Integer" for index in range(11)),
    ),
    case(
        "a type mismatch stops deeper checks",
        {"prompt": [1, 2], "stop": {"0": 1}},
        "#/stop: expected type: JSONArray, found: JSONObject",
        "#/prompt: expected type: String, found: JSONArray",
    ),
    case(
        "Mixtral's cap",
        {"prompt": "Hi", "max_tokens": 10000},
        "#/max_tokens: 10000 is not less or equal to 4096",
        model=MIXTRAL,
        seen="an open-source client's issue through Converse; the cap is Mixtral's",
    ),
]

NO_JSON_AT_ALL = "New Relic's recording of Titan: body that is not JSON, 2023-24"
NO_JSON = [
    case("no JSON", b"{ Malformed Request Body", seen=NO_JSON_AT_ALL),
    *(
        case(name, body, why="no careful JSON reader takes it")
        for name, body in {
            "empty": b"",
            "blanks": b" \n ",
            "half an object": b'{"prompt": "Hi"',
            "something behind it": b'{"prompt": "Hi"} {}',
            "a comma too many": b'{"prompt": "Hi",}',
            "single quotes": b"{'prompt': 'Hi'}",
            "a key without quotes": b'{prompt: "Hi"}',
            "NaN": b'{"prompt": "Hi", "temperature": NaN}',
            "Infinity": b'{"prompt": "Hi", "temperature": -Infinity}',
            "a key twice": b'{"prompt": "Hi", "prompt": "Ho"}',
            "a key twice, deeper": b'{"prompt": {"a": 1, "a": 2}}',
            "invalid UTF-8": b'{"prompt": "\xff"}',
            "UTF-16": '{"prompt": "Hi"}'.encode("utf-16"),
            "a byte order mark": b'\xef\xbb\xbf{"prompt": "Hi"}',
            "half of a surrogate pair, spelt": b'{"prompt": "\\ud83e"}',
            "half of a surrogate pair, encoded": b'{"prompt": "\xed\xa0\xbe"}',
            "a line break in a string": b'{"prompt": "H\ni"}',
            "an unknown escape": b'{"prompt": "\\x41"}',
            "a leading zero": b'{"prompt": "Hi", "top_k": 01}',
            "a plus": b'{"prompt": "Hi", "top_k": +1}',
            "hexadecimal": b'{"prompt": "Hi", "top_k": 0x10}',
            "100,000 levels": b'{"prompt": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            "600 levels": b'{"prompt": ' + b"[" * 600 + b"]" * 600 + b"}",
            "100,000 open brackets": b"[" * 100_000,
            "a million values": b'{"prompt": "Hi", "stop": [' + b"1," * 1_000_000 + b"1]}",
            "a million commas behind a string without end": b'{"prompt": "' + b'\\",' * 1_000_000,
        }.items()
    ),
    *(
        case(f"{shown} at the top", body, f"#: expected type: JSONObject, found: {found}")
        for shown, body, found in (
            ("an array", b"[]", "JSONArray"),
            ("a string", b'"Hi"', "String"),
            ("a number", b"7", "Integer"),
            ("null", b"null", "Null"),
            ("true", b"true", "Boolean"),
        )
    ),
]

TABLE = [*of_each_model(), *TYPES, *NUMBERS, *KEYS, *ORDER, *NO_JSON]
