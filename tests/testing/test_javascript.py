"""The npm package in javascript/, with the test runners and compilers of its users."""

import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import psutil
import pytest

from invoke_api.testing import JournalEntry, rule_types
from tests.support.servers import ROOT
from tests.support.vitest import PROGRAMS, node_environment
from tests.support.waiting import until

PACKAGE = ROOT / "javascript"
TYPES = (PACKAGE / "index.d.cts").read_text()
NPM = PROGRAMS["npx"].with_name("npm-cli.js")
BIN = PACKAGE / "node_modules" / ".bin"
RUNNERS: Mapping[str, tuple[Sequence[object], int]] = {
    "vitest": ([BIN / "vitest", "run"], 3),
    "jest": ([BIN / "jest"], 2),
    "node:test": (["node", "--test", "--test-reporter=spec", "node.test.mjs"], 1),
}
REPORT = """\
Bedrock requests:
InvokeModel mistral.mistral-7b-instruct-v0:2 {"prompt":"How is the weather?"} -> stop: " Scripted
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return variables with the commands `node` and `invoke-api` on the path."""
    env = node_environment(tmp_path)
    return {**env, "PATH": f"{Path(sys.executable).parent}:{env['PATH']}"}


def run(
    command: Sequence[object], env: Mapping[str, str], folder: Path = PACKAGE / "test"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_failure_says_what_was_asked_and_why_no_rule_applied(
    environment: dict[str, str], runner: str
) -> None:
    command, passes = RUNNERS[runner]
    done = run(command, environment)
    printed = re.sub(r"^[ \t]+", "", done.stdout + done.stderr, flags=re.MULTILINE)

    assert done.returncode == 1, printed
    assert REPORT.strip() in printed
    assert "did not match: prompt lacks 'Weather' but has 'weather'" in printed
    assert printed.count("Bedrock rules:") in (1, 2), "runners may repeat an error in a summary"
    assert re.search(rf"{passes} passed|pass {passes}\b", printed), printed


def test_what_is_published_is_found_by_import_and_by_require(
    environment: dict[str, str], tmp_path: Path
) -> None:
    packed = run(
        ["node", NPM, "pack", "--json", "--pack-destination", tmp_path], environment, PACKAGE
    )
    [package] = json.loads(packed.stdout)
    with tarfile.open(tmp_path / package["filename"]) as archive:
        archive.extractall(tmp_path / "node_modules", filter="data")
    (tmp_path / "node_modules" / "package").rename(tmp_path / "node_modules" / "bedrock-invoke-api")
    (tmp_path / "by-import.mjs").write_text(
        'import * as all from "bedrock-invoke-api"; console.log(Object.keys(all).sort().join());'
    )
    (tmp_path / "by-require.cjs").write_text(
        'console.log(Object.keys(require("bedrock-invoke-api")).sort().join());'
    )
    files = {each["path"] for each in package["files"]}
    document = json.loads((PACKAGE / "package.json").read_text())

    assert files == {"package.json", "README.md", *document["files"]}
    assert "dependencies" not in document
    for name in ("by-import.mjs", "by-require.cjs"):
        done = run(["node", name], environment, tmp_path)
        assert done.stdout == "Bedrock,startBedrock,withBedrock\n", done.stderr


def test_typescript_takes_right_uses_and_refuses_wrong_ones(environment: dict[str, str]) -> None:
    done = run([BIN / "tsc", "--project", "tsconfig.json"], environment)

    assert done.returncode == 0, done.stdout


START = """
import { startBedrock } from "bedrock-invoke-api";
const service = await startBedrock(%s);
console.log(service.url);
"""


@contextmanager
def node_running(script: str, env: Mapping[str, str]) -> Iterator["subprocess.Popen[str]"]:
    command = ["node", "--input-type=module", "--eval", script]
    with subprocess.Popen(
        command, cwd=PACKAGE / "test", env=env, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def servers(url: str) -> list[psutil.Process]:
    """Return the processes that listen at this URL."""
    port = int(url.rpartition(":")[2])
    listening = psutil.net_connections("tcp")
    pids = {each.pid for each in listening if each.laddr[1:] == (port,) and each.status == "LISTEN"}
    return [psutil.Process(pid) for pid in pids if pid]


def test_a_server_ends_when_node_is_killed(environment: dict[str, str]) -> None:
    with node_running(START % "" + "setInterval(() => {}, 1000)", environment) as process:
        assert process.stdout
        url = process.stdout.readline().strip()
        assert len(servers(url)) == 1
        process.kill()
        until(lambda: servers(url) == [])


def test_node_ends_although_a_server_runs_and_the_server_ends_with_it(
    environment: dict[str, str],
) -> None:
    done = run(["node", "--input-type=module", "--eval", START % ""], environment)

    assert done.returncode == 0, done.stderr
    until(lambda: servers(done.stdout.strip()) == [])


def test_a_server_is_stopped(environment: dict[str, str]) -> None:
    script = (
        START % ""
        + "await service.stop(); await fetch(service.url).catch((e) => console.log(e.message))"
    )
    done = run(["node", "--input-type=module", "--eval", script], environment)

    assert done.stdout.splitlines()[1:] == ["fetch failed"], done.stderr


SEVERAL = """
import { withBedrock } from "bedrock-invoke-api";
const urlOf = (options) => withBedrock(async (bedrock) => bedrock.url, options)();
const limits = { flags: ["--max-connections", "50"] };
const urls = [await urlOf(), await urlOf(limits), await urlOf({ ...limits, region: "eu-west-1" })];
console.log(urls[0] !== urls[1], urls[1] === urls[2]);
"""


def test_tests_that_want_other_flags_get_another_service(environment: dict[str, str]) -> None:
    done = run(["node", "--input-type=module", "--eval", SEVERAL], environment)

    assert done.stdout == "true true\n", done.stderr


def refusal(options: str, env: Mapping[str, str]) -> str:
    done = run(["node", "--input-type=module", "--eval", START % options], env)
    assert done.returncode == 1
    return done.stderr


def test_a_server_that_does_not_start_says_why(environment: dict[str, str]) -> None:
    told = refusal('{ flags: ["--guardrails", "nowhere.yaml"] }', environment)

    assert "did not start: it ended with exit status" in told
    assert "nowhere.yaml" in told


def test_a_command_that_is_not_there_is_named(environment: dict[str, str], tmp_path: Path) -> None:
    assert "spawn nowhere ENOENT" in refusal('{ command: ["nowhere"] }', environment)
    empty = {**environment, "PATH": str(tmp_path / "bin")}  # with node alone
    assert "none of invoke-api, uvx, pipx is on the PATH: run `pip install" in refusal("", empty)


@pytest.mark.parametrize(
    ("name", "program"),
    [
        ("uvx", "uvx --from bedrock-invoke-api invoke-api"),
        ("pipx", "pipx run --spec bedrock-invoke-api invoke-api"),
    ],
)
def test_programs_that_fetch_the_service_are_used(
    environment: dict[str, str], tmp_path: Path, name: str, program: str
) -> None:
    # A stand-in, because the real one would ask the package index. It drops its flags.
    dropped = len(program.split()) - 1
    stand_in = tmp_path / "bin" / name
    service = Path(sys.executable).with_name("invoke-api")
    stand_in.write_text(f'#!/bin/sh\necho "$0 $*" >&2\nshift {dropped}\nexec {service} "$@"\n')
    stand_in.chmod(0o755)
    env = {**environment, "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
    done = run(["node", "--input-type=module", "--eval", START % "{ seconds: 60 }"], env)

    assert done.stdout.startswith("http://127.0.0.1:"), done.stderr


def test_a_container_gets_a_port_and_an_open_standard_input(
    environment: dict[str, str], tmp_path: Path
) -> None:
    # A stand-in for Docker, which writes its flags down and fails.
    docker = tmp_path / "bin" / "docker"
    docker.write_text('#!/bin/sh\necho "$*" >&2\nexit 125\n')
    docker.chmod(0o755)
    told = refusal('{ image: "mine:1" }', environment)

    assert re.search(
        r"run --rm --interactive --publish 127\.0\.0\.1:\d+:8080 mine:1 serve --engine scripted"
        r" --stop-with-stdin --host 0\.0\.0\.0 --port 8080 --allow-anonymous\n",
        told,
    )


def literals(name: str) -> list[str]:
    """Return the texts of a union in the package's types."""
    found = re.search(rf"export type {name} =(.*?);", TYPES, flags=re.DOTALL)
    assert found
    return re.findall('"(.*?)"', found[1])


def members(name: str) -> list[str]:
    """Return the keys of an interface in the package's types."""
    found = re.search(
        rf"export interface {name} \{{(.*?)^\}}", TYPES, flags=re.DOTALL | re.MULTILINE
    )
    assert found
    return re.findall(r"^  (\w+)\??:", found[1], flags=re.MULTILINE)


@pytest.mark.parametrize("name", ["Operation", "ExceptionName", "Break", "State"])
def test_names_are_those_of_python(name: str) -> None:
    assert literals(name) == [*get_args(getattr(rule_types, name))]


@pytest.mark.parametrize("name", ["When", "ToolCall", "Turn", "Pace", "Rule"])
def test_keys_are_those_of_python(name: str) -> None:
    assert members(name) == [*getattr(rule_types, name).__annotations__]


def test_calls_have_the_keys_of_python() -> None:
    assert members("JournalEntry") == [*JournalEntry.__dataclass_fields__]
    faults: Any = {**rule_types.Fault.__annotations__, **rule_types.BreakFault.__annotations__}
    assert set(members("Fault")) == set(faults)
