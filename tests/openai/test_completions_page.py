"""The blocks of docs/completions.md, and the SkyPilot task that the page names."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from invoke_api.models.registry import DEFAULT_REGISTRY, load_registry
from tests.support.servers import BASE, COMMAND, ROOT, command_running, wait_until_ready

PAGE = (ROOT / "docs" / "completions.md").read_text()
CURL, PYTHON, LAUNCH = (
    code for _, code in re.findall(r"```(sh|python)\n(.*?)```", PAGE, re.DOTALL)
)
TASK = ROOT / "examples" / "skypilot" / "mistral-7b-v0.1.yaml"
URL = "http://127.0.0.1:8080"
KEY = "ABSKbWluZQ=="
# The part of SkyPilot's task schema that the example uses (its documentation, "Task YAML").
TEXT = {"type": "string", "minLength": 1}
SECRETS = {"type": "object", "additionalProperties": {"type": "null"}}
PROBE = {
    "type": "object",
    "required": ["path"],
    "additionalProperties": False,
    "properties": {
        "path": {"type": "string", "pattern": "^/"},
        "initial_delay_seconds": {"type": "integer", "minimum": 1},
    },
}
SCHEMA = {
    "type": "object",
    "required": ["resources", "run"],
    "additionalProperties": False,
    "properties": {
        "secrets": SECRETS,
        "workdir": TEXT,
        "setup": TEXT,
        "run": TEXT,
        "resources": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "cloud": {"enum": ["aws", "gcp", "azure", "kubernetes"]},
                "accelerators": {"type": "string", "pattern": "^[A-Z0-9-]+:[1-9]$"},
                "disk_size": {"type": "integer", "minimum": 50},
                "ports": {"type": "integer", "minimum": 1_024},
            },
        },
        "service": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"readiness_probe": PROBE, "replicas": {"type": "integer", "minimum": 1}},
        },
    },
}


def run_curl(code: str, url: str, **variables: str) -> str:
    """Run the last command of a block, a curl, against this service."""
    command = code[code.index("curl ") :].replace("\\\n", " ").replace(URL, url)
    for name, value in variables.items():
        command = command.replace(f"${name}", value)
    words = ["curl", "-s", "--write-out", "\n%{http_code}", *shlex.split(command)[1:]]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_curl_is_answered(scripted: str) -> None:
    body, status = run_curl(CURL, scripted).rsplit("\n", 1)

    assert status == "200"
    assert json.loads(body)["usage"]["completion_tokens"] == 25


def test_the_python_client_is_answered(scripted: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PYTHON.replace(URL, scripted)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert len(done.stdout.splitlines()) == 2


def test_the_page_counts_the_requests() -> None:
    from tests.openai.completion_requests import BAD, GOOD, STREAMED  # noqa: PLC0415 - large

    [count] = re.findall(r"sends both servers (\d+) requests", PAGE)
    assert int(count) == len(GOOD) + len(BAD) + len(STREAMED)


@pytest.fixture
def task() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(TASK.read_text())
    return document


@pytest.fixture
def deployed(task: dict[str, Any]) -> Iterator[str]:
    """Yield the URL of a service with the task's settings, on the scripted engine."""
    words = shlex.split(task["run"])
    given = dict(
        word.split("=", 1) for word in words if word.startswith("INVOKE_API_") and "=" in word
    )
    flags = words[words.index("serve") + 1 :]
    env = {**given, "INVOKE_API_API_KEY": KEY}
    with command_running([*COMMAND, *flags, "--engine", "scripted"], env) as url:
        wait_until_ready(url, seconds=30)
        yield url


def test_the_task_fits_skypilots_schema(task: dict[str, Any]) -> None:
    Draft202012Validator(SCHEMA).validate(task)

    words = shlex.split(task["run"])
    assert {*task["secrets"]} <= {*words}
    assert f"{task['resources']['ports']}:8080" in words
    assert words[-1] == BASE in load_registry(DEFAULT_REGISTRY).models


def test_the_deployed_service_wants_the_key(deployed: str) -> None:
    here = LAUNCH.replace("http://$(sky status --ip mistral-7b):8000", URL)
    body, status = run_curl(here, deployed, INVOKE_API_API_KEY=KEY).rsplit("\n", 1)
    other, refused = run_curl(here, deployed, INVOKE_API_API_KEY="ABSKb3RoZXI=").rsplit("\n", 1)

    assert (status, json.loads(body)["model"]) == ("200", "mistralai/Mistral-7B-v0.1")
    assert (refused, json.loads(other)) == ("401", {"error": "Unauthorized"})


def test_the_readiness_probe_needs_no_key(task: dict[str, Any], deployed: str) -> None:
    path = task["service"]["readiness_probe"]["path"]

    assert run_curl(f"curl {URL}{path}", deployed).endswith("\n200")
