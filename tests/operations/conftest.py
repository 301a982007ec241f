"""A service with all that can be asked for beside Bedrock's own: extensions, invocation log."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import COMMAND, GUARDRAILS, command_running, wait_until_ready


@pytest.fixture(scope="session")
def log_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs") / "made" / "by it"


@pytest.fixture(scope="session")
def extended(log_folder: Path) -> Iterator[str]:
    """The URL of a service with `--extensions` and `--invocation-log`."""
    flags = ["--engine", "scripted", "--extensions", "--invocation-log", str(log_folder)]
    flags += ["--guardrails", str(GUARDRAILS)]
    with command_running([*COMMAND, *flags]) as url:
        wait_until_ready(url, seconds=30)
        yield url
