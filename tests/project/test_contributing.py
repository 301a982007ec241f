"""Pages for contributors and maintainers: their commands exist, and issue forms are valid."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.servers import ROOT

FORMS = ROOT / ".github" / "ISSUE_TEMPLATE"
CODE = ("invoke_api", "engine", "tests", "bench")
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_command_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    targets = re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE)
    modules = re.findall(r"python -m\s+((?:tests|invoke_api|engine|bench)[\w.]*)", text)

    assert [name for name in targets if name not in TARGETS] == []
    assert [name for name in modules if find_spec(name) is None] == []


def test_a_name_in_the_code_that_contributors_are_told_exists() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    placed = re.findall(r"`(\w+)`(?:\s+and\s+`(\w+)`)?\s+in\s+\[[^]]+\]\(([^)]+\.py)\)", text)
    names = set(re.findall(r"`([A-Z][A-Z_]{3,}|[A-Z]\w+[a-z])`", text))
    code = "".join(path.read_text() for folder in CODE for path in (ROOT / folder).rglob("*.py"))

    assert len(placed) > 4
    assert [
        (name, file)
        for *found, file in placed
        for name in filter(None, found)
        if not re.search(rf"\b{name}\b", (ROOT / file).read_text())
    ] == []
    assert [name for name in names if not re.search(rf"\b{name}\b", code)] == []


@pytest.mark.parametrize("form", sorted(FORMS.glob("*.yml")), ids=lambda form: str(form.name))
def test_a_form_for_issues_is_valid(form: Path) -> None:
    kind = "config" if form.stem == "config" else "forms"
    command = Path(sys.executable).parent / "check-jsonschema"
    done = subprocess.run(
        [command, "--builtin-schema", f"vendor.github-issue-{kind}", form],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_a_release_makes_every_generated_page() -> None:
    text = (ROOT / "RELEASING.md").read_text()
    made = [
        found[1]
        for page in PAGES
        if (found := re.search(r"<!-- Made by `python -m ([\w.]+)`", page.read_text()))
    ]

    assert len(made) > 5
    assert [name for name in made if f"python -m {name}\n" not in text] == []
