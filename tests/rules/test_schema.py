"""schemas/rules.json as editors use it, by the address that is its id."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import orjson

from tests.support.servers import ROOT

SCHEMA = ROOT / "schemas" / "rules.json"
PAGE = (ROOT / "docs" / "test" / "rules.md").read_text()
COMMENT = "# yaml-language-server: $schema="


def check(folder: Path, rules: str) -> subprocess.CompletedProcess[str]:
    (file := folder / "rules.yaml").write_text(rules)
    checker = Path(sys.executable).with_name("check-jsonschema")
    return subprocess.run(
        [checker, "--schemafile", SCHEMA, file], capture_output=True, text=True, check=False
    )


def test_the_page_and_the_schema_name_the_same_address() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    identifier = orjson.loads(SCHEMA.read_bytes())["$id"]
    [owner_and_name] = re.findall("https://github.com/(.+)", project["urls"]["Source"])

    assert f"{COMMENT}{identifier}\n" in PAGE
    assert identifier == (
        f"https://raw.githubusercontent.com/{owner_and_name}/main/{SCHEMA.relative_to(ROOT)}"
    )


def test_the_rules_of_the_page_fit_the_schema(tmp_path: Path) -> None:
    [block] = re.findall(r"```yaml\n(rules:.*?)```", PAGE, re.DOTALL)
    done = check(tmp_path, block)

    assert done.returncode == 0, done.stdout


def test_a_typo_is_found_as_an_editor_finds_it(tmp_path: Path) -> None:
    done = check(tmp_path, "rules: [{when: {promt: weather}, reply: Sunny}]")

    assert done.returncode == 1
    assert "promt" in done.stdout
