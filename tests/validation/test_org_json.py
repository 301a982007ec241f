"""Quotation of JSON values as Java's org.json writes them."""

import json
import time
from decimal import Decimal

import pytest

from invoke_api.validation.json_document import MAX_BODY_LEVELS, parse_json
from invoke_api.validation.org_json import MAX_QUOTED_CHARACTERS, to_string, write_json
from invoke_api.validation.schema import BodySchema
from invoke_api.wire.errors import ValidationException

ANY = BodySchema({"type": "object", "properties": {"x": {"enum": ["a"]}}})
CLOSED = BodySchema(
    {"type": "object", "additionalProperties": False, "properties": {"x": {"enum": ["a"]}}}
)
HUGE = "9" * 4_000

# JSON in a body, and the same JSON quoted.
QUOTED = [
    ("18446744073709551616", "18446744073709551616"),
    ("[18446744073709551616]", "[18446744073709551616]"),
    ('{"k":-1606938044258990275541962092341}', '{"k":-1606938044258990275541962092341}'),
    (f"[{HUGE}]", f"[{HUGE}]"),
    (HUGE, HUGE),
    ("9" * 5_000, "9" * 5_000),
    ("9" * (MAX_QUOTED_CHARACTERS + 1), "9" * MAX_QUOTED_CHARACTERS + "..."),
    (f"[{HUGE * 3}]", f"[{HUGE * 3}"[:MAX_QUOTED_CHARACTERS] + "..."),
    ("[1e400]", "[1E+400]"),
    ("[1.50,2.0,-0.0,-0,0.0]", "[1.5,2,-0,-0,0]"),
    ("[1e-400]", "[1E-400]"),
    ('["\\u0000\\u0001\\t\\"\\\\"]', '["\\u0000\\u0001\\t\\"\\\\"]'),
    ('["</a>/\\u2028é🦜"]', '["<\\/a>/\\u2028é🦜"]'),
    ("[]", "[]"),
    ("{}", "{}"),
    ("[null,true,false,{},[]]", "[null,true,false,{},[]]"),
    ('{"@":1,"0":{"a":[2]}}', '{"@":1,"0":{"a":[2]}}'),
]


@pytest.mark.parametrize(("written", "quoted"), QUOTED, ids=[each[0][:40] for each in QUOTED])
def test_a_value_that_is_refused_is_quoted(written: str, quoted: str) -> None:
    with pytest.raises(ValidationException) as caught:
        ANY.parse(b'{"x":%b}' % written.encode())

    assert f"#/x: {quoted} is not a valid enum value" in caught.value.message
    assert json.loads(caught.value.to_json())["message"] == caught.value.message


@pytest.mark.parametrize("form", ["[", '{"a":'])
def test_a_value_is_quoted_at_any_depth_that_is_read(form: str) -> None:
    levels = MAX_BODY_LEVELS - 1  # below the body itself
    written = form * levels + "1" + {"[": "]", '{"a":': "}"}[form] * levels

    with pytest.raises(ValidationException) as caught:
        ANY.parse(b'{"x":%b}' % written.encode())

    assert f"#/x: {written} is not" in caught.value.message


def test_what_is_written_is_json_of_the_same_value() -> None:
    value = parse_json(json.dumps({"a": [1, 2.5, "é\n", None, {"b": {}}], "c": True}).encode())

    assert parse_json(write_json(value).encode()) == value


def test_a_text_is_said_as_it_is() -> None:
    assert to_string('a"\0') == 'a"\0'
    assert to_string(Decimal("1.50")) == "1.50"


BODY_BYTES = 10_000_000  # bytes


@pytest.mark.parametrize(
    "body",
    [
        b'{"%b":1}' % (b"k" * BODY_BYTES),
        b'{"x":"%b"}' % (b"k" * BODY_BYTES),
        b'{"x":["%b"]}' % (b"\\u0000" * (BODY_BYTES // 6)),
        b'{"x":[%b1]}' % (b'"a",' * 90_000),
        b'{"x":{%b}}' % b",".join(b'"%d":1' % number for number in range(90_000)),
        b'{"x":{%b}}' % b",".join(b'"%b%d":1' % (b"k" * 90_000, number) for number in range(99)),
        b'{"x":%b}' % (b"9" * BODY_BYTES),
    ],
    ids=["key", "text", "escapes", "list", "keys", "long keys", "digits"],
)
def test_a_long_value_is_quoted_in_part_and_in_time(body: bytes) -> None:
    began = time.monotonic()
    with pytest.raises(ValidationException) as caught:
        CLOSED.parse(body)

    assert time.monotonic() - began < 10  # sorting and writing all of it would take up to 50 s
    assert "..." in caught.value.message
    assert len(caught.value.message) < MAX_QUOTED_CHARACTERS + 200
