"""Follow docs/tutorial.md: save each file, run each command, find what the page says it prints."""

import os
import subprocess
from pathlib import Path

from tests.support.pages import blocks_of
from tests.support.servers import ROOT

INSTALL, *STEPS = blocks_of(ROOT / "docs" / "tutorial.md")


def save_files(folder: Path) -> None:
    """Save the files of the whole page."""
    for block in STEPS:
        if block.title:
            save(folder / block.title, block.code)


def save(file: Path, code: str) -> None:
    """Save a block as a file, or add it to the file if there is one."""
    begun = file.read_text() + "\n\n" if file.exists() else ""
    file.write_text(begun + code)


def follow(folder: Path, commands: Path) -> int:
    """Follow the page in an empty folder, with `python` and `invoke-api` of the folder `commands`.

    Return the number of outputs compared. Raises `AssertionError` at the first that differs.
    """
    (folder / "pytest.ini").write_text("[pytest]\n")  # none of this repository's settings
    printed = ""
    compared = 0
    for block in STEPS:
        if block.title:
            save(folder / block.title, block.code)
        elif block.language == "sh":
            printed = run(block.code, folder, commands)
        else:
            missing = [line for line in block.code.splitlines() if line not in printed]
            assert missing == [], f"{missing} not in\n{printed}"
            compared += 1
    return compared


def run(code: str, folder: Path, commands: Path) -> str:
    """Return what commands print. Raises `AssertionError` with it if they fail."""
    done = subprocess.run(
        ["bash", "-ec", code],
        cwd=folder,
        env={**os.environ, "PATH": f"{commands}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
