"""The tutorial can be followed: its files work, and its commands print what the page says."""

import subprocess
import tomllib
from pathlib import Path

from tests.site.tutorial import INSTALL, follow, save_files
from tests.support.servers import COMMAND, ROOT

COMMANDS = Path(COMMAND[0]).parent


def test_it_begins_with_an_installation_that_is_offered() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    *_, installed = INSTALL.code.splitlines()

    assert installed.startswith('pip install "bedrock-invoke-api[')
    assert installed[installed.index("[") + 1 : -2] in project["optional-dependencies"]


def test_each_step_prints_what_the_page_says(tmp_path: Path) -> None:
    assert follow(tmp_path, COMMANDS) == 5


def test_the_files_are_formatted(tmp_path: Path) -> None:
    save_files(tmp_path)
    done = subprocess.run(
        [COMMANDS / "ruff", "format", "--isolated", "--diff", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
