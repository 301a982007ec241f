"""action.yml, the GitHub Action: valid, and its step does what it says."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from invoke_api.testing import Bedrock
from tests.support.servers import COMMAND, ROOT
from tests.support.waiting import until

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
[STEP] = ACTION["runs"]["steps"]


def test_it_is_an_action() -> None:
    check = Path(sys.executable).with_name("check-jsonschema")
    flags = ["--builtin-schema", "vendor.github-actions"]
    command: list[str | Path] = [check, *flags, ROOT / "action.yml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stdout
    assert set(STEP["env"]) == {name.upper() for name in ACTION["inputs"]}


class Job:
    """A job with this step. Its files have what the step tells later steps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = {name: folder / name for name in ("GITHUB_ENV", "GITHUB_OUTPUT")}

    def run(self, **inputs: str) -> subprocess.CompletedProcess[str]:
        given = {
            name.upper(): inputs.get(name, each["default"])
            for name, each in ACTION["inputs"].items()
        }
        env = {
            **os.environ,
            **given,
            **{name: str(file) for name, file in self.files.items()},
            "GITHUB_ACTION_PATH": str(ROOT),
            "RUNNER_TEMP": str(self.folder),
        }
        return subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", STEP["run"]],
            env=env,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def told(self, name: str) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.files[name].read_text().splitlines())


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    yield Job(tmp_path)
    for each in psutil.process_iter(["cmdline"]):
        if str(tmp_path) in " ".join(each.info["cmdline"] or []):
            each.kill()


def test_later_steps_call_the_service(job: Job) -> None:
    rules = job.folder / "rules.yaml"
    rules.write_text('rules: [{reply: " It rains."}]')
    done = job.run(
        command=COMMAND[0], flags=f"--engine scripted --rules {rules}", region="eu-west-1"
    )
    env, output = job.told("GITHUB_ENV"), job.told("GITHUB_OUTPUT")
    bedrock = Bedrock(output["url"], region="eu-west-1", access_key_id=env["AWS_ACCESS_KEY_ID"])
    client = bedrock.client()
    answer = client.invoke_model(modelId=bedrock.model, body='{"prompt": "Hi"}')
    with answer["body"] as body:
        said = json.load(body)
    client.close()

    assert done.returncode == 0, done.stdout + done.stderr
    assert env == {**bedrock.environment, "AWS_ACCESS_KEY_ID": "test"}
    assert said["outputs"][0]["text"] == " It rains."
    assert ACTION["outputs"]["url"]["value"] == f"${{{{ steps.{STEP['id']}.outputs.url }}}}"


def test_a_service_that_does_not_start_fails_the_step(job: Job) -> None:
    done = job.run(command=COMMAND[0], flags="--rules nowhere.yaml")

    assert done.returncode == 1
    assert "::error::" in done.stdout
    assert "nowhere.yaml" in done.stdout
    assert not job.files["GITHUB_OUTPUT"].exists()


def test_the_package_is_installed_into_an_environment_of_its_own(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A stand-in, because the real Python would ask the package index.
    python = job.folder / "bin" / "python3"
    python.parent.mkdir()
    python.write_text(
        '#!/bin/sh\n[ "$1 $2" = "-m venv" ] || { echo "pip: $*" >>"$RUNNER_TEMP/pip"; exit 0; }\n'
        f'mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && ln -s {COMMAND[0]} "$3/bin/invoke-api"\n'
    )
    python.chmod(0o755)
    monkeypatch.setenv("PATH", f"{python.parent}:{os.environ['PATH']}")
    done = job.run(package="bedrock-invoke-api==0.1.0")
    asked = (job.folder / "pip").read_text()

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.fullmatch("pip: -m pip install .* bedrock-invoke-api==0.1.0\n", asked)
    until(lambda: job.told("GITHUB_OUTPUT")["url"].startswith("http://127.0.0.1:"))
