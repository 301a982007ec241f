"""Types of invoke_api.testing, by `mypy --strict` and by the schema of rules."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Required, Union, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from invoke_api.observability import journal
from invoke_api.rules.parser import EXCEPTIONS
from invoke_api.rules.rule import BREAKS
from invoke_api.testing import JournalEntry, bedrock_running, journal_entry, rule_types
from tests.support.servers import ROOT

FOLDER = Path(__file__).parent / "typing"
FILES = ("right", "wrong")
DEFINITIONS: Mapping[str, Any] = json.loads((ROOT / "schemas" / "rules.json").read_text())["$defs"]
# Schemas of the OpenAPI document.
ANSWERS: Mapping[str, Any] = json.loads((ROOT / "schemas" / "control_api.json").read_text())[
    "components"
]["schemas"]
REPORT = re.compile(r"(?P<file>\w+)\.py:(?P<line>\d+): (?P<kind>error|note): (?P<text>.*)")
# A file here hides the packages of boto3's types.
WITHOUT_TYPES = """\
[mypy-types_boto3_bedrock.*,types_boto3_bedrock_runtime.*,types_boto3_sagemaker_runtime.*]
follow_imports = skip
follow_imports_for_stubs = True
ignore_missing_imports = True
"""


@pytest.fixture(scope="module", params=["with types of boto3", "without"])
def reported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[tuple[str, int], str], bool]:
    """Return what mypy says of a line, by file and line, and whether boto3 has types."""
    folder = tmp_path_factory.mktemp("typing")
    is_typed = request.param != "without"
    config = folder / "mypy.ini"
    config.write_text("[mypy]\n" + ("" if is_typed else WITHOUT_TYPES))
    files = [str(FOLDER / f"{name}.py") for name in FILES]
    # Ignore this repository's settings, as mypy does in a project of a user.
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(config)]
    command += ["--cache-dir", str(folder), "--no-error-summary", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert not done.stderr, done.stderr
    found: dict[tuple[str, int], str] = {}
    for line in done.stdout.splitlines():
        report = REPORT.search(line)
        assert report, line
        if report["file"] in FILES:  # mypy is silent about installed packages
            found.setdefault((report["file"], int(report["line"])), _short(report))
    return found, is_typed


def _short(report: re.Match[str]) -> str:
    """Return the code of an error, or a revealed type without the names of modules."""
    if report["kind"] == "error":
        return report["text"].rpartition("[")[2].rstrip("]")
    revealed = re.sub(r"[\w.]+\.(\w+)", r"\1", report["text"])
    found = re.search('"(.*)"', revealed)
    return found[1] if found else revealed


def expected(is_typed: bool) -> dict[tuple[str, int], str]:  # noqa: FBT001 - from the fixture
    found: dict[tuple[str, int], str] = {}
    for name in FILES:
        for number, line in enumerate((FOLDER / f"{name}.py").read_text().splitlines(), 1):
            _, mark, text = line.partition("  # E: " if name == "wrong" else "  # R: ")
            if not mark:
                _, mark, text = line.partition("  # T: ")
                is_revealed = name == "right"
                if mark and not is_typed:
                    text = "Any" if is_revealed else ""
            if text:
                found[name, number] = text
    return found


def test_right_uses_pass_and_wrong_ones_are_refused(
    reported: tuple[dict[tuple[str, int], str], bool],
) -> None:
    found, is_typed = reported

    assert found == expected(is_typed)


DICTIONARIES = [
    (rule_types.Rule, "rule"),
    (rule_types.When, "when"),
    (rule_types.Turn, "turn"),
    (rule_types.OneReply, "one_reply"),
    (rule_types.Pace, "pace"),
    (rule_types.Regex, "text"),
]


@pytest.mark.parametrize(("kind", "definition"), DICTIONARIES)
def test_they_have_the_keys_of_the_schema(kind: type, definition: str) -> None:
    assert is_typeddict(kind)
    keys = set(DEFINITIONS[definition]["properties"])
    if definition == "rule":
        keys -= {"scope"}  # rules of a `Bedrock` are for its key

    assert set(get_type_hints(kind)) == keys


@pytest.mark.parametrize(("kind", "definition"), DICTIONARIES)
def test_they_require_what_the_schema_requires(kind: Any, definition: str) -> None:
    assert kind.__required_keys__ == {*DEFINITIONS[definition].get("required", ())}


def test_faults_require_what_the_schema_requires() -> None:
    # The schema can't say that a fault is a break only if it has the key.
    assert rule_types.Fault.__required_keys__ == {*DEFINITIONS["fault"].get("required", ())}
    assert rule_types.BreakFault.__required_keys__ == {"break"}


def test_faults_have_the_keys_of_the_schema() -> None:
    keys = {*get_type_hints(rule_types.Fault), *get_type_hints(rule_types.BreakFault)}

    assert keys == set(DEFINITIONS["fault"]["properties"])


def test_tool_calls_have_the_keys_of_the_schema() -> None:
    items = DEFINITIONS["tool_calls"]["items"]
    hints = get_type_hints(rule_types.ToolCall, include_extras=True)

    assert set(hints) == set(items["properties"])
    assert {key for key in hints if get_origin(hints[key]) is Required} == set(items["required"])


@pytest.mark.parametrize(
    ("literal", "names"),
    [
        (rule_types.Operation, DEFINITIONS["when"]["properties"]["operation"]["enum"]),
        (rule_types.State, DEFINITIONS["rule"]["properties"]["state"]["enum"]),
        (rule_types.Break, DEFINITIONS["fault"]["properties"]["break"]["enum"]),
        (rule_types.Break, BREAKS),
        (rule_types.ExceptionName, EXCEPTIONS),
    ],
)
def test_names_are_those_that_rules_may_have(literal: Any, names: Any) -> None:
    assert [*get_args(literal)] == [*names]


PYTHON_TYPES = {"string": str, "integer": int, "number": float, "boolean": bool}


@pytest.mark.parametrize("name", ["when", "pace", "rule", "turn", "fault"])
def test_plain_values_have_the_types_of_the_schema(name: str) -> None:
    kind = getattr(rule_types, name.capitalize())
    hints = get_type_hints(kind)
    plain = {
        key: PYTHON_TYPES[schema["type"]]
        for key, schema in DEFINITIONS[name]["properties"].items()
        if schema.get("type") in PYTHON_TYPES
        and key in hints
        and get_origin(hints[key]) is not Literal  # names are compared above
    }

    assert plain
    assert {key: hints[key] for key in plain} == plain


def test_entries_have_the_keys_of_the_openapi_document() -> None:
    call, error = ANSWERS["Call"], ANSWERS["CallError"]
    required = {
        each.name
        for each in fields(JournalEntry)
        if each.default is MISSING and each.default_factory is MISSING
    }

    assert {each.name for each in fields(JournalEntry)} == set(call["properties"])
    assert required == set(call["required"])
    assert set(get_type_hints(journal_entry.CallError)) == set(error["properties"])
    assert journal_entry.CallError.__required_keys__ == set(error["required"])


def test_ends_of_a_call_are_the_same_everywhere() -> None:
    assert [*get_args(journal_entry.Ended)] == [*get_args(journal.Ended)]
    assert [*get_args(journal_entry.Ended)] == ANSWERS["Ended"]["enum"]


def test_entries_have_the_keys_of_the_journal() -> None:
    with bedrock_running() as bedrock:
        bedrock.reply("Hi.")
        client = bedrock.client()
        client.converse(
            modelId=bedrock.model, messages=[{"role": "user", "content": [{"text": "A"}]}]
        )
        client.close()
        [raw] = bedrock._ask("GET", f"requests?scope={bedrock.access_key_id}")["requests"]  # noqa: SLF001
        [entry] = bedrock.requests

    assert dict(entry) == raw
    assert json.loads(json.dumps(dict(entry))) == raw
    assert (entry.status, entry["status"]) == (200, 200)
    assert len(entry) == len(raw)
    assert "cassette" not in entry
    with pytest.raises(KeyError, match="of"):
        entry["of"]
    hints = get_type_hints(JournalEntry)
    assert {key for key in raw if not isinstance(raw[key], plain_types(hints[key]))} == set()


def plain_types(hint: Any) -> tuple[type, ...]:
    """Return the types of JSON's values for a type hint."""
    if get_origin(hint) in (Union, UnionType):
        return tuple(found for each in get_args(hint) for found in plain_types(each))
    if get_origin(hint) is Literal:
        return (str,)
    if hint is Any:
        return (object,)
    return (dict,) if is_typeddict(hint) else (get_origin(hint) or hint,)
