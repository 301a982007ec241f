"""The recipes of docs/test/testcontainers.md, with the real libraries and no Docker."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.docker_engine import Engine, docker_engine
from tests.support.servers import ROOT
from tests.support.vitest import link_packages, node_environment
from tests.testing.test_plugin import QUICK

PAGE = (ROOT / "docs" / "test" / "testcontainers.md").read_text()
CONTAINER = {
    "Cmd": ["serve", "--engine", "scripted", "--allow-anonymous"],
    "Image": "invoke-api:scripted",
}


def recipe(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found[1]


@pytest.fixture
def engine() -> Iterator[tuple[Engine, Mapping[str, str]]]:
    """Yield an engine, and the variables by which Testcontainers calls it."""
    with docker_engine("invoke-api:scripted") as (made, address):
        yield (
            made,
            {
                "DOCKER_HOST": address,
                # Ryuk, another container, would remove the others after a crash.
                "TESTCONTAINERS_RYUK_DISABLED": "true",
                # In a container it would look for Docker's gateway.
                "TESTCONTAINERS_CONNECTION_MODE": "docker_host",
            },
        )


def run(command: list[str], folder: Path, env: Mapping[str, str]) -> None:
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def check(engine: Engine) -> None:
    """Fail unless the recipe ran its container, and removed it."""
    [created] = engine.created
    assert {key: created[key] for key in CONTAINER} == CONTAINER
    assert engine.removed == 1


def test_the_recipe_for_python_runs(
    engine: tuple[Engine, Mapping[str, str]], tmp_path: Path
) -> None:
    made, variables = engine
    (tmp_path / "test_weather.py").write_text(recipe("python"))
    command = [sys.executable, "-m", "pytest", "-q", *QUICK, "-p", "no:xdist"]
    run(command, tmp_path, {**os.environ, **variables})

    check(made)


def test_the_recipe_for_node_runs(engine: tuple[Engine, Mapping[str, str]], tmp_path: Path) -> None:
    made, variables = engine
    suite = tmp_path / "suite"
    link_packages(suite)
    (suite / "weather.test.js").write_text(recipe("js"))
    command = ["node", "node_modules/vitest/vitest.mjs", "run"]
    run(command, suite, {**node_environment(tmp_path), **variables})

    check(made)
