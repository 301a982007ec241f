"""Any JSON value is quoted back as Java's org.json writes it, whatever stands in it."""

import json
from decimal import Decimal

import pytest

from invoke_api.validation.document import DEEPEST, parse_json
from invoke_api.validation.org_json import to_string, write_json
from invoke_api.validation.schema import BodySchema
from invoke_api.wire.errors import ValidationException

ANY = BodySchema({"type": "object", "properties": {"x": {"enum": ["a"]}}})
HUGE = "9" * 5_000

# JSON as it comes, and as it is quoted.
QUOTED = [
    ("18446744073709551616", "18446744073709551616"),
    ("[18446744073709551616]", "[18446744073709551616]"),
    ('{"k":-1606938044258990275541962092341}', '{"k":-1606938044258990275541962092341}'),
    (f"[{HUGE}]", f"[{HUGE}]"),
    (HUGE, HUGE),
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
    levels = DEEPEST - 1  # below the body itself
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
