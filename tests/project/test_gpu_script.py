"""`bench/gpu.sh`: its parts, its time limit and its summary, with a stand-in for Python.

A dry run with vLLM takes some minutes, so here each part only names its benchmark and flags, which
the benchmarks themselves parse.
"""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench import death, serving, swap
from bench.streams import tables
from bench.streams.batch import Batch, Drive, Sample, Server
from bench.streams.checkpoints import Checkpoint
from bench.streams.measuring import Measuring
from bench.streams.servers import OURS, OURS_WHOLE, THEIRS, THEIRS_WHOLE
from bench.streams.targets import targets_table
from invoke_api.models.engine_factory import vllm_key
from invoke_api.models.registry import load_registry
from tests.support.servers import ROOT

SCRIPT = ROOT / "bench" / "gpu.sh"
PARTS = ["serving-7b", "death", "swap", "serving-8x7b"]
READERS = {
    "bench.serving": serving.read_arguments,
    "bench.death": death.read_arguments,
    "bench.swap": swap.read_arguments,
}


def run(folder: Path, python: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the script with a program in place of Python, and of nvidia-smi."""
    for name, program in {"python": python, "nvidia-smi": "echo card"}.items():
        (folder / name).write_text(f"#!/bin/sh\n{program}\n")
        (folder / name).chmod(0o755)
    kept = {key: each for key, each in os.environ.items() if key not in ("DRY_RUN", "PARTS")}
    own = {"PYTHON": str(folder / "python"), "OUT": str(folder / "out")}
    path = {"PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.run(
        [SCRIPT],
        env=kept | own | path | more,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def commands(done: subprocess.CompletedProcess[str]) -> list[list[str]]:
    lines = [line for line in done.stdout.splitlines() if line.startswith("RUN ")]
    return [shlex.split(line)[1:] for line in lines]


SAY = 'case "$1" in -c) echo "vllm 0.26.0";; *) echo "RUN $*";; esac'


@pytest.mark.parametrize("dry", ["", "1"])
def test_each_part_runs_a_benchmark_with_flags_that_it_knows(tmp_path: Path, dry: str) -> None:
    done = run(tmp_path, SAY, DRY_RUN=dry)

    assert done.returncode == 0, done.stderr
    read = []
    for unbuffered, module, name, *flags in commands(done):
        assert (unbuffered, module) == ("-u", "-m")
        given = READERS[name](flags)
        assert given.to == tmp_path / "out"
        assert given.layers == (1 if dry else None)
        read.append(given)
    first, _, _, last = read
    assert first.streamed
    assert (first.model, last.model) == ("mistral-7b", "mixtral-8x7b")
    assert last.quantization == (None if dry else "fp8")
    if not dry:
        assert first.words == [128, 512, 6_400]
        assert (first.users[0], first.users[-1]) == (1, 128)
    summary = done.stdout.partition("== vllm 0.26.0")[2]
    assert [line.split()[0] for line in summary.splitlines()[1:5]] == PARTS
    assert {line.split()[1] for line in summary.splitlines()[1:5]} == {"done"}


def test_parts_can_be_chosen_and_logs_are_kept(tmp_path: Path) -> None:
    done = run(tmp_path, SAY, DRY_RUN="1", PARTS="swap")

    assert [command[2] for command in commands(done)] == ["bench.swap"]
    assert (tmp_path / "out" / "swap.log").read_text().startswith("RUN -u -m bench.swap")


def test_a_part_that_is_not_known_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, SAY, DRY_RUN="1", PARTS="swap lunch")

    assert done.returncode == 2
    assert "There is no part lunch" in done.stderr


def test_a_part_that_fails_is_told_and_the_others_run(tmp_path: Path) -> None:
    done = run(tmp_path, f"{SAY}\ncase $3 in *death) exit 3;; esac", DRY_RUN="1")

    assert done.returncode == 1
    assert "death          failed with status 3: see its log" in done.stdout
    assert [command[2] for command in commands(done)][-1] == "bench.serving"


def test_a_part_is_interrupted_when_the_time_is_over(tmp_path: Path) -> None:
    # Python waits, as for a server, and ends it when it is interrupted.
    program = "import time\ntry: time.sleep(300)\nexcept KeyboardInterrupt: print('ENDED'); raise"
    python = f'case "$1" in -c) echo x;; *) exec {sys.executable} -c {shlex.quote(program)};; esac'

    done = run(tmp_path, python, DRY_RUN="1", LIMIT="3", PARTS="death swap")

    assert done.returncode == 0, done.stderr
    assert "ENDED" in done.stdout
    assert "death          interrupted, no time: see its log" in done.stdout
    assert "swap           left out, no time" in done.stdout


def test_without_a_gpu_it_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    done = run(tmp_path, SAY, PATH=f"{tmp_path / 'bin'}:/usr/bin:/bin")

    assert done.returncode == 2
    assert "nvidia-smi finds no GPU. DRY_RUN=1 runs on a CPU." in done.stderr


def test_another_version_of_vllm_is_told(tmp_path: Path) -> None:
    done = run(tmp_path, SAY.replace("0.26.0", "0.25.0"), DRY_RUN="1", PARTS="swap")

    assert "note: this is vllm 0.25.0, not vllm 0.26.0" in done.stdout


def test_shellcheck_finds_nothing() -> None:
    program = Path(sys.executable).parent / "shellcheck"
    scripts = [SCRIPT, ROOT / "scripts" / "setup", ROOT / "scripts" / "audit", ROOT / ".ci" / "run"]

    done = subprocess.run(
        [program, *scripts], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stdout) == (0, "")


def test_a_result_without_async_llm_has_its_tables() -> None:
    row = {"words": 128, "users": 32, "rounds": 1, "cpu_ratio": 0.5, "speed_ratio": 1.1}
    rows = [{**row, "server": name, "first_ratio": 0.9} for name in (OURS, THEIRS)]

    lines = targets_table({"rows": rows}).splitlines()

    assert [line.split("| ")[3] for line in lines[2:]] == ["0.50 |", "1.10 |", "- |", "0.90 |"]
    assert tables.left_out([(6_400, 128)]) == [
        "Left out, as the prompts are too long: 6400 words at 128 users."
    ]


def test_the_registry_of_a_swap_has_two_engines_that_load(tmp_path: Path) -> None:
    models = load_registry(swap.write_models(tmp_path, layers=1)).models

    assert tuple(models) == swap.MODELS
    assert len({vllm_key(model) for model in models.values()}) == 2
    for model in models.values():
        config = json.loads((Path(model.weights) / "config.json").read_text())
        assert config["num_hidden_layers"] == 1
        assert model.vllm.get("enable_sleep_mode", False) == swap.can_sleep()


def test_calls_without_an_answer_have_a_status_of_their_own() -> None:
    assert death.ask(1, "/", 1).status == death.NO_ANSWER


def test_a_server_without_engine_cores_is_none() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        with pytest.raises(RuntimeError, match="no process VLLM::EngineCore"):
            death.cores_of(process.pid)
        process.kill()


def test_servers_that_are_left_out_are_started_with_their_program_but_not_called(
    tmp_path: Path,
) -> None:
    called: list[tuple[str, int]] = []

    def server(name: str) -> Server:
        def drive(batch: Batch) -> Drive:
            called.append((name, batch.users))
            return Drive([Sample([0.1, 0.2], 0.2, 16, batch.tokens)] * batch.users, 1.0, 0.0)

        return Server(name, os.getpid(), drive)

    @contextmanager
    def start(_checkpoint: Checkpoint, _folder: Path) -> Iterator[list[Server]]:
        yield [server(name) for name in (OURS, OURS_WHOLE, THEIRS, THEIRS_WHOLE)]

    measuring = Measuring(
        pairs=[(16, 2)],
        once=[],
        tokens=2,
        timeout=1.0,
        rounds=1,
        seconds=60.0,
        say=lambda _: None,
        starts=[start],
        left_out=frozenset({OURS_WHOLE, THEIRS_WHOLE}),
    )
    measuring.run(no_checkpoint(tmp_path), tmp_path, alone=True)

    assert {name for name, _ in called} == {OURS, THEIRS}
    assert [row["server"] for row in measuring.rows()] == [OURS, THEIRS]


def no_checkpoint(folder: Path) -> Checkpoint:
    return Checkpoint(
        name="x", folder=folder, model_id="x", tokenizer="v1", serve=(), options={}, environment={}
    )
