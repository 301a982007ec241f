"""Measure the time of an application's 50 tests with the pytest plugin, after collection.

usage: python -m bench.suite [--rounds N]
Each test adds a rule, creates its own boto3 client and calls once. The server's start counts.
Exits with status 1 if the median is over 3 seconds.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

BUDGET_SECONDS = 3.0
# Plugins of our own suite, which an application's suite does not have.
OTHERS = ("schemathesis", "hypothesispytest", "asyncio", "anyio", "timeout", "xdist")
NO_OTHERS = [flag for name in OTHERS for flag in ("-p", f"no:{name}")]
# Users have bytecode; some CI machines forbid Python to write it.
ENVIRONMENT = {key: each for key, each in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
TESTS = """
import json
import boto3
import pytest

@pytest.mark.parametrize("number", range(50))
def test_it(bedrock, number):
    bedrock.reply(f" I am {number}.")
    client = boto3.client("bedrock-runtime")
    body = json.dumps({"prompt": "Who?", "max_tokens": 20})
    answer = client.invoke_model(modelId=bedrock.model, body=body)
    assert json.load(answer["body"])["outputs"][0]["text"] == f" I am {number}."
"""
HOOKS = """
import time

def pytest_collection_finish():
    global BEGAN
    BEGAN = time.perf_counter()

def pytest_sessionfinish():
    print(f"\\\\nTOOK {time.perf_counter() - BEGAN:.3f}")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    seconds = sorted(measure() for _ in range(parser.parse_args().rounds))
    middle = median(seconds)
    print(
        f"50 tests       median {middle:.2f} s, slowest {seconds[-1]:.2f} s,"
        f" budget {BUDGET_SECONDS} s"
    )
    sys.exit(middle > BUDGET_SECONDS)


def measure() -> float:
    """Return the seconds from the end of the collection to the end of the session."""
    with TemporaryDirectory() as folder:
        Path(folder, "test_it.py").write_text(TESTS)
        Path(folder, "conftest.py").write_text(HOOKS)
        Path(folder, "pytest.ini").write_text("[pytest]\n")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-s", *NO_OTHERS],
            cwd=folder,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=True,
        )
    assert "50 passed" in done.stdout, done.stdout
    found = re.search(r"TOOK ([\d.]+)", done.stdout)
    assert found, done.stdout
    return float(found[1])


if __name__ == "__main__":
    main()
