"""docs/testing.md, every block of it: the recipes as tests, the commands against a service."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from invoke_api.rules.parsing import parse_rules
from tests.testing.test_plugin import QUICK

DOCUMENT = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", DOCUMENT, re.DOTALL)
RECIPES = [code for language, code in BLOCKS if language == "python"]
EXEC, CURL = [code for language, code in BLOCKS if language == "sh"]
[RULES] = [code for language, code in BLOCKS if language == "yaml"]


def test_there_are_ten_recipes_and_unittest() -> None:
    titles = re.findall(r"^## (\d+)\.", DOCUMENT, re.MULTILINE)

    assert titles == [str(number) for number in range(1, 11)]
    assert len(RECIPES) == 11


@pytest.mark.parametrize("number", range(11))
def test_a_recipe_runs_as_it_stands(pytester: pytest.Pytester, number: int) -> None:
    pytester.makepyfile(RECIPES[number])
    result = pytester.runpytest_subprocess(*QUICK)

    assert result.ret == 0
    assert "passed" in result.stdout.str()


def test_the_rules_are_rules() -> None:
    assert len(parse_rules(yaml.safe_load(RULES))) == 3


def test_the_command_is_one() -> None:
    assert EXEC.startswith("invoke-api exec --rules rules.yaml -- ")


def test_the_http_recipe_works(scripted: str) -> None:
    code = CURL.replace("http://127.0.0.1:8080", scripted)
    done = subprocess.run(
        ["bash", "-ec", code], capture_output=True, text=True, timeout=30, check=True
    )
    added, requests, reset = (json.loads(line) for line in done.stdout.splitlines())

    assert added["rules"][0]["reply"] == " It rains."
    assert requests == {"requests": []}
    assert reset == {}
