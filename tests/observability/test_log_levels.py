"""Levels and formats of the log, also in vLLM's processes."""

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from invoke_api.observability.log_format import LEVELS, JsonFormatter
from invoke_api.server.environment import set_up_vllm_logs
from tests.support.logs import logged_service
from tests.support.servers import SEVEN_B

NAMES = ["debug", "info", "warning", "error"]


@pytest.mark.parametrize("level", NAMES)
def test_our_lines_are_logged_from_the_level_on(level: str) -> None:
    code = f"""
import logging
from invoke_api.observability.log_format import set_up_logs
set_up_logs("json", {level!r})
for name in ("invoke_api.x", "engine.x", "library"):
    for level in ("debug", "info", "warning", "error"):
        getattr(logging.getLogger(name), level)(level)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    told = {
        name: [line["level"] for line in lines if line["logger"] == name]
        for name in ("invoke_api.x", "engine.x", "library")
    }
    own = NAMES[NAMES.index(level) :]
    of_libraries = NAMES[NAMES.index(logging.getLevelName(LEVELS[level].libraries).lower()) :]

    assert told == {"invoke_api.x": own, "engine.x": own, "library": of_libraries}


def test_times_are_in_utc_with_milliseconds() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "said", (), None)
    record.created = 1_700_000_000.25

    assert json.loads(JsonFormatter().format(record))["time"] == "2023-11-14T22:13:20.250Z"


def test_the_operators_own_variables_win(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"VLLM_LOGGING_LEVEL": "DEBUG", "VLLM_LOGGING_CONFIG_PATH": "/own.json"}
    monkeypatch.setattr(os, "environ", {**own})
    set_up_vllm_logs("json", "error")
    assert os.environ == own


@pytest.mark.parametrize(
    ("form", "level", "variables"),
    [
        ("text", "info", {}),
        ("text", "debug", {"VLLM_LOGGING_LEVEL": "INFO"}),
        ("text", "error", {"VLLM_LOGGING_LEVEL": "ERROR"}),
    ],
)
def test_vllm_gets_the_level(
    monkeypatch: pytest.MonkeyPatch, form: str, level: str, variables: dict[str, str]
) -> None:
    monkeypatch.setattr(os, "environ", {})
    set_up_vllm_logs(form, level)
    assert os.environ == variables


@pytest.mark.vllm
@pytest.mark.slow
def test_the_lines_of_vllms_processes_are_json_with_their_names(tmp_path: Path) -> None:
    log = tmp_path / "stderr"
    flags = ["--demo", "tiny", "--model", SEVEN_B, "--log-format", "json", "--log-level", "debug"]
    with logged_service(log, *flags):
        pass
    # Libraries in C, and the resource tracker, may write lines of their own.
    text = log.read_text()
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    of_core = [line for line in lines if line.get("process", "").startswith("EngineCore")]

    assert of_core
    assert all(line["logger"].startswith("vllm") for line in of_core)
    assert {"info"} <= {line["level"] for line in of_core}
    assert not re.search(r"^\(\w+ pid=\d+\) (INFO|WARNING)", text, re.MULTILINE)
