"""The README's code blocks, run unchanged against the service that the first one starts."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
SH = [code for language, code in BLOCKS if language == "sh"]
INVOKE, CONVERSE = [code for language, code in BLOCKS if language == "python"]
[ANSWER] = [code for language, code in BLOCKS if language == "json"]
START, EXPORTS, CURL, TEST = SH


def run_block(command: list[str], code: str, url: str) -> str:
    """Return the output of a block, run with the README's variables and no others of AWS's."""
    script = f'{EXPORTS}exec "$@"'.replace("http://127.0.0.1:8080", url)
    code = code.replace("http://127.0.0.1:8080", url)
    plain = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    done = subprocess.run(
        ["bash", "-ec", script, "bash", *command, code],
        env={**plain, "AWS_EC2_METADATA_DISABLED": "true"},
        capture_output=True,
        text=True,
        timeout=300,  # two answers of up to 400 tokens each
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_started_and_tested_by_the_two_commands() -> None:
    # `smollm2` starts the first block for the tests below. The second block runs this suite.
    assert [START, TEST] == ["make serve\n", "make test\n"]


def test_the_python_block_prints_an_answer_and_a_stream(smollm2: str) -> None:
    printed = run_block([sys.executable, "-c"], INVOKE, smollm2)
    answer, stream = re.split(" (?:stop|length)\n", printed, maxsplit=1)

    assert len(answer.split()) > 3
    assert len(stream.split()) > 3


def test_the_next_python_block_holds_a_conversation(smollm2: str) -> None:
    made = INVOKE[: INVOKE.index("body = ")]
    printed = run_block([sys.executable, "-c"], made + CONVERSE, smollm2)

    assert re.search(r"(?s)^\S.* \{'inputTokens': \d+, 'outputTokens': \d+, ", printed)


@pytest.mark.skipif(not shutil.which("curl"), reason="this machine has no curl")
def test_the_curl_block_prints_the_answer_below_it(smollm2: str) -> None:
    assert run_block(["bash", "-ec"], CURL, smollm2) == ANSWER.strip()


def test_it_stays_short() -> None:
    assert len(README.splitlines()) < 120
