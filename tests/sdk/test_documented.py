"""The Python blocks of pages about APIs run as they stand, with the address of a service."""

import re
import subprocess

import pytest

from tests.support.servers import ROOT

PAGES = ("openai", "sagemaker")
PYTHON = ROOT / ".venv-clients" / "bin" / "python"


@pytest.mark.parametrize("page", PAGES)
def test_a_block_runs_as_it_stands(scripted: str, page: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks

    for code in blocks:
        done = subprocess.run(
            [PYTHON, "-c", code.replace("http://127.0.0.1:8080", scripted)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "Scripted answer" in done.stdout
