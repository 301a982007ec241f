"""The code blocks of every page can be read: they compile or parse."""

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml

from tests.support.pages import Block, blocks_of
from tests.support.servers import ROOT

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = [
    pytest.param(block, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, block in enumerate(blocks_of(page))
]


def compile_python(code: str) -> None:
    compile(code, "a block", "exec", dont_inherit=True)


def parse_commands(code: str) -> None:
    subprocess.run(["bash", "-n"], input=code, text=True, check=True, capture_output=True)


CHECKS: Mapping[str, Callable[[str], object]] = {
    "py": compile_python,
    "python": compile_python,
    "sh": parse_commands,
    "json": json.loads,
    "yaml": yaml.safe_load,
}
# Languages that other tests run (tests/testing/test_documented.py) or that are no code.
UNCHECKED = {
    "",
    "text",
    "js",
    "java",
    "diff",
    "mermaid",
    "http",
    "haproxy",
    "ini",
    "nginx",
    "dockerfile",
}


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_can_be_read(block: Block) -> None:
    if block.language not in UNCHECKED:
        CHECKS[block.language](block.code)


@pytest.mark.parametrize(
    ("language", "code"),
    [("python", "def"), ("json", "{'a': 1}"), ("yaml", "a: [1"), ("sh", "if true")],
)
def test_a_mistake_is_found(language: str, code: str) -> None:
    with pytest.raises((SyntaxError, ValueError, yaml.YAMLError, subprocess.CalledProcessError)):
        CHECKS[language](code)


def test_the_blocks_of_a_page_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text('1. A\n\n    ```python title="a.py"\n    a = 1\n    ```\n\n```\ntext\n```\n')

    assert list(blocks_of(page)) == [Block("python", "a.py", "a = 1\n"), Block("", "", "text\n")]
