"""The examples, run as a reader would run them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from invoke_api.testing import Bedrock
from tests.support.servers import ROOT
from tests.support.vitest import node_environment, run_vitest
from tests.testing.test_plugin import QUICK

EXAMPLES = ROOT / "examples"
COMMANDS = {
    "python": [sys.executable, "summarise.py"],
    "javascript": ["node", "cli.js"],
}


def test_the_tests_in_python_pass() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *QUICK, "-p", "no:xdist"],
        cwd=EXAMPLES / "python",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert re.search(r"=+ 16 passed in [\d.]+s =+", done.stdout), done.stdout + done.stderr


def test_the_tests_in_javascript_pass(tmp_path: Path) -> None:
    report = run_vitest(EXAMPLES / "javascript", tmp_path)

    assert report["success"], report
    assert report["numPassedTests"] == report["numTotalTests"] == 8


@pytest.mark.parametrize("example", COMMANDS)
def test_the_command_summarises_what_it_is_piped(
    scripted: str, tmp_path: Path, example: str
) -> None:
    bedrock = Bedrock(scripted)
    bedrock.reply(" It rains in the north.")
    done = run_command(example, bedrock, tmp_path)
    [call] = bedrock.requests
    bedrock.reset()

    assert (done.returncode, done.stdout, done.stderr) == (0, "It rains in the north.\n", "")
    assert "The north is wet." in call["body"]["prompt"]


@pytest.mark.parametrize("example", COMMANDS)
def test_the_command_says_what_went_wrong(scripted: str, tmp_path: Path, example: str) -> None:
    bedrock = Bedrock(scripted)
    bedrock.rule(state="access-denied")
    done = run_command(example, bedrock, tmp_path)
    bedrock.reset()

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("summarise: You don't have access to the model")
    assert len(done.stderr.splitlines()) == 1


def run_command(example: str, bedrock: Bedrock, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        COMMANDS[example],
        cwd=EXAMPLES / example,
        env={**node_environment(tmp_path), **bedrock.environment},
        input="The north is wet.\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_fleets_balancer_knows_every_server_of_the_fleet() -> None:
    services = yaml.safe_load((EXAMPLES / "fleet" / "compose.yaml").read_text())["services"]
    balancer = (EXAMPLES / "fleet" / "haproxy.cfg").read_text()
    servers = re.findall(r"^    server (\S+) (\S+):8000$", balancer, flags=re.MULTILINE)

    assert [name for name, _ in servers] == [name for name in services if "vllm" in name]
    assert all(name == host for name, host in servers)
    assert "--remote=http://balancer:8000" in services["invoke-api"]["command"]


def test_compose_files_are_such() -> None:
    check = Path(sys.executable).parent / "check-jsonschema"
    files = [ROOT / "docker-compose.yml", EXAMPLES / "fleet" / "compose.yaml"]
    done = subprocess.run(
        [check, "--builtin-schema", "vendor.compose-spec", *files],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stdout
