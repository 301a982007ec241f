"""Follow docs/tutorial.md: save each file, run each command, and find what the page says it prints."""

import os
import subprocess
import tomllib
from pathlib import Path

from tests.support.pages import blocks_of
from tests.support.servers import COMMAND, ROOT

INSTALL, *STEPS = blocks_of(ROOT / "docs" / "tutorial.md")
COMMANDS = Path(COMMAND[0]).parent


def test_it_begins_with_an_installation_that_is_offered() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    *_, installed = INSTALL.code.splitlines()

    assert installed.startswith('pip install "bedrock-invoke-api[')
    assert installed[installed.index("[") + 1 : -2] in project["optional-dependencies"]


def run(code: str, folder: Path) -> str:
    """Return what commands print, with `python` and `invoke-api` of this environment."""
    done = subprocess.run(
        ["bash", "-ec", code],
        cwd=folder,
        env={**os.environ, "PATH": f"{COMMANDS}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_each_step_prints_what_the_page_says(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")  # none of this repository's settings
    printed = ""
    counted = 0
    for block in STEPS:
        if block.title:
            with (tmp_path / block.title).open("a") as file:
                file.write(f"\n\n{block.code}" if file.tell() else block.code)
        elif block.language == "sh":
            printed = run(block.code, tmp_path)
        else:
            assert [line for line in block.code.splitlines() if line not in printed] == []
            counted += 1

    assert counted == 5


def test_the_files_are_formatted(tmp_path: Path) -> None:
    for block in STEPS:
        if block.title.endswith(".py"):
            with (tmp_path / block.title).open("a") as file:
                file.write(f"\n\n{block.code}" if file.tell() else block.code)
    done = subprocess.run(
        [COMMANDS / "ruff", "format", "--isolated", "--diff", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
