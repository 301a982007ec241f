"""The generated pages are current, and the tables of schemas say what the schemas say."""

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.site.compatibility import FILE, FOUND, report
from tests.site.reference import FOLDER, PAGES, render, schema_of
from tests.site.schema_tables import keys_table, limits_of
from tests.support.servers import ROOT


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_made_of_the_code(name: str) -> None:
    assert (FOLDER / name).read_text() == render(name), "python -m tests.site.reference writes it"


def test_there_is_no_other_page() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(PAGES)


@pytest.mark.parametrize(("name", "page"), [("rules", "rules"), ("model_registry", "registry")])
def test_every_key_of_a_schema_has_a_row(name: str, page: str) -> None:
    rows = set(re.findall(r"^\| `(?:\S*\.)?(\w+)` \|", render(f"{page}.md"), re.MULTILINE))
    definitions = schema_of(f"{name}.json")["$defs"]
    keys = {key for definition in definitions.values() for key in keys_of(definition)}

    assert len(keys) > 20
    assert keys - rows == set()


def test_every_key_of_a_rule_has_a_meaning() -> None:
    assert re.findall(r"^\| (`\S+`) .*\|  \|$", render("rules.md"), re.MULTILINE) == []


def keys_of(schema: Any) -> Iterator[str]:
    """Yield the keys that a schema describes, also inside its values and items."""
    for key, value in schema.get("properties", {}).items():
        yield key
        yield from keys_of(value)
    yield from keys_of(schema["items"]) if "items" in schema else ()


def test_limits_are_worded() -> None:
    schema = {"type": "string", "minLength": 1, "maxLength": 2_000, "default": "a|b"}

    assert list(limits_of(schema)) == ["1 to 2,000 characters", "default `a\\|b`"]
    assert list(limits_of({"exclusiveMinimum": 0})) == ["above 0"]
    assert list(limits_of({"minItems": 1})) == ["at least 1 item"]


def test_a_list_of_a_definition_links_to_its_section() -> None:
    one = {"type": "object", "properties": {"a": {"type": "integer"}}}
    schema = {"properties": {"many": {"type": "array", "items": {"$ref": "#/$defs/one"}}}}

    assert "[list of one](#one)" in keys_table(schema, {"one": one}, {"one"})
    assert "`many[].a` | integer" in keys_table(schema, {"one": one}, ())


def test_the_page_on_compatibility_is_made_of_the_findings() -> None:
    assert FILE.read_text() == report(json.loads(FOUND.read_text()))


def test_the_pinned_boto3_and_the_oldest_python_were_run() -> None:
    found = json.loads(FOUND.read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    [pinned] = [
        pin.removeprefix("boto3==")
        for pin in project["dependency-groups"]["clients"]
        if pin.startswith("boto3==")
    ]
    oldest = project["project"]["requires-python"].removeprefix(">=")

    assert pinned in found["botocore"]
    assert any(each.startswith(f"{oldest}.") for each in found["python"])
