"""Our plugins do not change a vLLM that another program of the same environment starts."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from engine.vllm.options import ENVIRONMENT, PLUGINS
from tests.support.vllm_server import vllm_running

OURS = (
    "engine.vllm.plugins.vision_standin",
    "engine.vllm.plugins.cpu_waiting",
    "engine.vllm.plugins.orphans",
)
# Python imports a module of this name in each process. It records our modules repeatedly, because
# vLLM's processes end without running exit handlers.
LOOK = """
import json, os, sys, threading, time

def describe():
    waiting = sys.modules.get("vllm.distributed.device_communicators.shm_broadcast")
    return {
        "has_vllm": "vllm.plugins" in sys.modules and sys.modules["vllm.plugins"].plugins_loaded,
        "finders": [type(each).__module__ for each in sys.meta_path],
        "waits": getattr(getattr(waiting, "sched_yield", None), "__module__", None),
        "threads": [getattr(each, "_target", None).__module__ for each in threading.enumerate()
                    if getattr(each, "_target", None)],
    }

def look():
    while True:
        time.sleep(0.2)
        path = os.path.join(os.environ["LOOK_INTO"], str(os.getpid()))
        with open(path + ".new", "w") as file:
            json.dump(describe(), file)
        os.replace(path + ".new", path)

threading.Thread(target=look, daemon=True).start()
"""


@pytest.mark.vllm
def test_a_vllm_of_somebody_elses_is_left_alone(
    checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PLUGINS, raising=False)  # engines in this process have set it
    (tmp_path / "sitecustomize.py").write_text(LOOK)
    found = tmp_path / "found"
    found.mkdir()
    theirs = {name: value for name, value in ENVIRONMENT.items() if name != PLUGINS}
    paths = {
        "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}",
        "LOOK_INTO": str(found),
    }
    with vllm_running(checkpoints, ["theirs"], environment={**theirs, **paths}):
        told = [json.loads(path.read_text()) for path in found.iterdir() if path.suffix != ".new"]
    processes = [each for each in told if each["has_vllm"]]
    assert len(processes) >= 2, "the server and its engine core"
    for each in processes:
        modules = [*each["finders"], each["waits"], *each["threads"]]
        assert not set(modules) & set(OURS)


@pytest.mark.vllm
def test_a_vllm_of_ours_has_them() -> None:
    program = """
        import sys
        from vllm.plugins import load_general_plugins
        load_general_plugins()
        from vllm.distributed.device_communicators import shm_broadcast
        print(shm_broadcast.sched_yield.__module__)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == ["engine.vllm.plugins.cpu_waiting"]
