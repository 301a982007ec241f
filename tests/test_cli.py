"""The command line: its output and its error messages."""

import json
import os
import resource
import shlex
import signal
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import psutil
import pytest

from engine.demo.smollm2 import NAME as SMOLLM2
from invoke_api.models.registry import DEFAULT_REGISTRY
from invoke_api.server.environment import unknown_variables
from tests.support.servers import (
    BASE,
    COMMAND,
    LARGE,
    MIXTRAL,
    SEVEN_B,
    SMALL,
    call,
    command_running,
    invoke,
    run_command,
    sockets_of,
    wait_until_ready,
)
from tests.support.waiting import until

PROGRAM = COMMAND[0]


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return run_command(*arguments, env={**os.environ, **env})


def test_models_is_a_table_that_says_how_faithful_each_is() -> None:
    done = run("models")
    head, *rows = done.stdout.splitlines()

    assert " ".join(head.split()) == "MODEL DIALECT SERVED BY CONTEXT ENGINE WEIGHTS FAITHFULNESS"
    assert len(rows) == 15
    assert [row.split()[0] for row in rows if "never published" in row] == [SMALL, LARGE]
    assert [row.split()[0] for row in rows if "  ARNs, completions  " in row] == [BASE]
    assert sum("  Bedrock, OpenAI, completions  " in row for row in rows) == 8


def test_check_counts_what_it_found() -> None:
    done = run("check")

    assert done.returncode == 0
    assert done.stdout.endswith("15 models, no mistakes\n")


def test_models_as_json_say_what_the_table_says() -> None:
    told = json.loads(run("models", "--json").stdout)
    by_id = {each["id"]: each for each in told["models"]}

    assert told.keys() == {"registry", "models"}
    assert told["registry"] == str(DEFAULT_REGISTRY)
    assert len(by_id) == 15
    assert by_id[SEVEN_B] == {
        "id": SEVEN_B,
        "name": "Mistral 7B Instruct",
        "dialect": "mistral-text",
        "served_by": ["Bedrock", "completions"],
        "context_length": 32_768,
        "engine": "vllm",
        "weights": "mistralai/Mistral-7B-Instruct-v0.2",
        "adapter": None,
        "stand_in": None,
        "regions": by_id[SEVEN_B]["regions"],
        "profiles": {},
    }
    assert "us-east-1" in by_id[SEVEN_B]["regions"]
    assert "never published" in by_id[SMALL]["stand_in"]


def test_models_as_json_with_demo_name_the_weights_that_run() -> None:
    told = json.loads(run("models", "--demo", "--json").stdout)["models"]

    assert {each["weights"] for each in told} == {SMOLLM2}
    assert {each["stand_in"] for each in told} == {f"{SMOLLM2} stands in for the model"}


def test_check_as_json_without_mistakes() -> None:
    done = run("check", "--json")
    told = json.loads(done.stdout)
    notes = told.pop("notes")

    assert (done.returncode, done.stderr) == (0, "")
    assert told == {
        "registry": str(DEFAULT_REGISTRY),
        "ok": True,
        "models": 15,
        "arns": 0,
        "mistakes": [],
    }
    assert all(isinstance(note, str) for note in notes)


def test_check_as_json_has_the_file_and_line_of_each_mistake(tmp_path: Path) -> None:
    weights = registry_of(tmp_path, **{SEVEN_B: "/nowhere/7b"})
    line = 1 + next(n for n, text in enumerate(weights.read_text().splitlines()) if "/now" in text)
    found = run("check", "--json", "--registry", str(weights))
    broken = tmp_path / "broken.yaml"
    broken.write_text("models: []\n")
    refused = run("check", "--json", "--registry", str(broken))
    gone = run("check", "--json", "--registry", str(tmp_path / "gone.yaml"))

    assert [each.returncode for each in (found, refused, gone)] == [1, 1, 1]
    assert json.loads(found.stdout)["mistakes"] == [
        {
            "file": str(weights),
            "line": line,
            "message": f"model {SEVEN_B!r}: there is no folder /nowhere/7b",
        }
    ]
    assert json.loads(refused.stdout) == {
        "registry": str(broken),
        "ok": False,
        "models": None,
        "arns": None,
        "mistakes": [{"file": str(broken), "line": 1, "message": "models: [] should be non-empty"}],
        "notes": [],
    }
    assert json.loads(gone.stdout)["mistakes"] == [
        {
            "file": str(tmp_path / "gone.yaml"),
            "line": None,
            "message": "No such file or directory",
        }
    ]


def test_check_counts_arns(tmp_path: Path) -> None:
    file = tmp_path / "registry.yaml"
    arn = "arn:aws:bedrock:us-east-1:123456789012:imported-model/abcdefghij12"
    file.write_text(f"{DEFAULT_REGISTRY.read_text()}arns: [{{arn: '{arn}', model: '{SEVEN_B}'}}]\n")
    done = run("check", "--registry", str(file))

    assert done.stdout.endswith("models, 1 ARN, no mistakes\n")


def test_check_says_which_model_needs_a_server(tmp_path: Path) -> None:
    file = tmp_path / "registry.yaml"
    file.write_text(DEFAULT_REGISTRY.read_text().replace("engine: vllm", "engine: remote", 1))
    first, *_ = run("check", "--registry", str(file)).stdout.splitlines()

    assert first == f"{SEVEN_B}: has the engine remote and no url, so serve needs --remote URL"


def registry_of(folder: Path, **weights: str) -> Path:
    """Write the registry with other weights for these models."""
    lines = DEFAULT_REGISTRY.read_text().splitlines()
    for model_id, where in weights.items():
        start = next(number for number, line in enumerate(lines) if line.endswith(model_id))
        line = next(n for n in range(start, len(lines)) if lines[n].strip().startswith("weights:"))
        lines[line] = f"    weights: {where}"
    path = folder / "registry.yaml"
    path.write_text("\n".join(lines))
    return path


def test_check_names_weights_that_are_missing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    file = registry_of(tmp_path, **{SEVEN_B: "/nowhere/7b", MIXTRAL: str(tmp_path / "empty")})
    lines = file.read_text().splitlines()
    places = [1 + n for n, line in enumerate(lines) if "/nowhere" in line or "/empty" in line]
    done = run("check", "--registry", str(file))

    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert first == f"Error: {file}:{places[0]}: model {SEVEN_B!r}: there is no folder /nowhere/7b"
    empty = f"the folder {tmp_path}/empty has neither config.json nor params.json"
    assert second == f"{file}:{places[1]}: model {MIXTRAL!r}: {empty}, so it holds no model"


@pytest.mark.skipif(not find_spec("huggingface_hub"), reason="vLLM brings it")
def test_check_says_what_is_yet_to_be_downloaded(tmp_path: Path) -> None:
    done = run("check", HF_HUB_CACHE=str(tmp_path))
    first, *_ = done.stdout.splitlines()

    assert done.returncode == 0
    assert first.startswith("not in the local cache of Hugging Face's hub: mistralai/Mistral-7B-")
    assert first.count("Mistral-Large-Instruct-2407") == 1, "two models share it"


@pytest.mark.skipif(not find_spec("vllm"), reason="it would be missed first")
def test_where_no_model_has_weights_nothing_is_served(tmp_path: Path) -> None:
    file = registry_of(tmp_path, **{SEVEN_B: "/nowhere/7b"})
    done = run("serve", "--registry", str(file), "--model", SEVEN_B, "--port", "0")

    assert done.returncode == 1
    assert "there is no folder /nowhere/7b" in done.stderr
    assert "listens" not in done.stderr


@pytest.mark.skipif(not find_spec("vllm"), reason="it would be missed first")
def test_where_one_has_them_the_other_fails_at_once_in_our_words(tmp_path: Path) -> None:
    file = registry_of(tmp_path, **{SEVEN_B: "/nowhere/7b"})
    text = file.read_text().replace("engine: vllm", "engine: scripted")
    file.write_text(text.replace("engine: scripted", "engine: vllm", 1))
    flags = ["--registry", str(file), "--model", SEVEN_B, "--model", MIXTRAL]

    def states() -> dict[str, dict[str, str]]:
        models: dict[str, dict[str, str]] = json.loads(call(url, "GET", "/_emulator/health")[1])
        return cast("dict[str, dict[str, str]]", models["models"])

    with command_running([*COMMAND, *flags]) as url:
        began = time.monotonic()
        until(lambda: states()[SEVEN_B]["status"] == "failed")
        took = time.monotonic() - began
        until(lambda: states()[MIXTRAL]["status"] == "ready")
        reason = states()[SEVEN_B]["reason"]
        refused = invoke(url, {"prompt": "Hi"})[0].status
        answered = invoke(url, {"prompt": "Hi"}, MIXTRAL)[0].status

    assert reason.endswith(f"model {SEVEN_B!r}: there is no folder /nowhere/7b")
    assert took < 5, "vLLM alone takes longer to import"
    assert (refused, answered) == (503, 200)


def test_a_variable_that_is_none_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    # The registry may name further variables, and Kubernetes sets others.
    kubernetes = ("SERVICE_HOST", "PORT_8080_TCP_ADDR", "RULES_PORT", "RULES_SERVICE_PORT_HTTP")
    for name in ("URL", "OWN_KEY", "PORT", *kubernetes):
        monkeypatch.setenv(f"INVOKE_API_{name}", "x")
    known = {"INVOKE_API_PORT", "INVOKE_API_OWN_KEY"}

    assert [*unknown_variables(known)] == [
        "INVOKE_API_URL is set, but Invoke API has no such variable"
    ]


@pytest.mark.parametrize("command", ["check", "models", "serve"])
def test_a_mistake_in_the_registry_stops_everything(tmp_path: Path, command: str) -> None:
    file = tmp_path / "registry.yaml"
    file.write_text("models: 7\n")
    done = run(command, "--registry", str(file))

    assert done.returncode == 1
    assert done.stderr == f"Error: {file}:1: models: 7 is not of type 'array'\n"


def test_listening_for_strangers_is_refused_with_the_way_on() -> None:
    done = run("serve", "--host", "0.0.0.0", "--engine", "scripted")

    assert done.returncode == 2
    assert "--allow-anonymous" in done.stderr


REMOTE = ["--engine", "remote", "--remote", "http://127.0.0.1:1"]
CONTRADICTIONS = [
    (["--remote", "http://host:8000"], {}, "--remote needs --engine remote."),
    ([], {"INVOKE_API_REMOTE": "http://host:8000"}, "--remote needs --engine remote."),
    (["--engine", "remote"], {}, "set --remote URL, or remote: {url: ...} in"),
    (["--engine", "remote", "--remote", "host:8000"], {}, "--remote must be the URL of a server:"),
    (
        ["--engine", "remote", "--remote", "http://me:hidden@host"],
        {},
        "--remote must be the URL of a",
    ),
    (
        ["--engine", "remote", "--remote", "http://host:port"],
        {},
        "--remote must be the URL of a server:",
    ),
    (
        ["--engine", "remote", "--remote", "mistral.mistral-large-2402-v1:0"],
        {},
        "http://HOST:PORT or MODEL_ID=http://HOST:PORT",
    ),
    (
        [*REMOTE, "--remote", "http://127.0.0.1:2"],
        {},
        "--remote names two servers for the same model.",
    ),
    (
        [*REMOTE, "--remote", "mistral.none=http://127.0.0.1:2"],
        {},
        "--remote has a server for 'mistral.none', which is not served; the models are",
    ),
    (["--ready-when", "all", "--ready-when", "any"], {}, "--ready-when takes all or any alone,"),
    (
        ["--ready-when", "mistral.none"],
        {},
        "--ready-when names 'mistral.none', which is not served; the models are",
    ),
    ([*REMOTE, "--demo"], {}, "--demo needs an engine with weights; --engine remote loads none."),
    (["--demo"], {}, "--demo needs an engine with weights; --engine scripted loads none."),
    (
        ["--max-loaded-models", "1"],
        {},
        "--max-loaded-models needs an engine with weights; --engine",
    ),
    (["--match", "nearest"], {}, "--match needs --engine replay."),
    (["--timing", "recorded"], {}, "--timing needs --engine replay."),
    (["--strict", "--no-control"], {}, "--strict without rules would refuse every call"),
    (
        [],
        {"INVOKE_API_AUHT": "sigv4"},
        "no variable INVOKE_API_AUHT; did you mean INVOKE_API_AUTH?",
    ),
    (["--graceful-timeout", "inf"], {}, "inf is not in the range 0<=x<="),
    (["--graceful-timeout", "nan"], {}, "--graceful-timeout must be numbers of seconds."),
    (["--shutdown-delay", "-1"], {}, "-1.0 is not in the range 0<=x<="),
    (REMOTE, {"INVOKE_API_REMOTE_API_KEY": "hidden\nkey"}, "_REMOTE_API_KEY is not ASCII."),
    (["--auth", "sigv4"], {}, "--auth sigv4 needs keys"),
    (["--auth", "bearer", "--host", "0.0.0.0"], {}, "--auth bearer needs keys"),
    ([], {"INVOKE_API_API_KEY": "ABSKa2V5"}, "--auth none would ignore the keys"),
    ([], {"INVOKE_API_ACCESS_KEY_ID": "AKID"}, "INVOKE_API_SECRET_ACCESS_KEY go together."),
    ([], {"INVOKE_API_API_KEY": "sk-hidden"}, "INVOKE_API_API_KEY must start with ABSK"),
    (["--tls-cert", "cert.pem"], {}, "--tls-cert and --tls-key go together."),
    (["--region", "us-nowhere-1"], {}, "AWS has no region 'us-nowhere-1'."),
    (["--max-loaded-models", "0"], {}, "0 is not in the range x>=1."),
    (["--credentials", "none.yaml"], {}, "none.yaml: No such file or directory"),
    (
        ["--tls-cert", "none.pem", "--tls-key", "none.pem"],
        {},
        "can't use none.pem and none.pem: No such file or directory",
    ),
    (
        ["--tls-cert", "pyproject.toml", "--tls-key", "pyproject.toml"],
        {},
        "can't use pyproject.toml and pyproject.toml: ",
    ),
]


@pytest.mark.parametrize(("flags", "env", "sentence"), CONTRADICTIONS)
def test_what_can_not_work_is_refused_in_a_sentence(
    flags: list[str], env: dict[str, str], sentence: str
) -> None:
    done = run("serve", "--engine", "scripted", *flags, **env)

    assert done.returncode in (1, 2)
    assert sentence in done.stderr
    assert "hidden" not in done.stderr
    assert "Traceback" not in done.stderr


def test_callers_may_be_taken_to_be_elsewhere() -> None:
    command = [*COMMAND, "--engine", "scripted", "--region", "eu-central-1"]
    with command_running(command) as url:
        wait_until_ready(url, seconds=30)
        response, _ = invoke(url, {"prompt": "Hi"})

    assert response.headers["x-amzn-ErrorType"].startswith("ResourceNotFoundException:")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_more_clients_than_files_are_allowed_at_first(workers: int) -> None:
    serve = shlex.join([*COMMAND, "--engine", "scripted", "--workers", str(workers)])
    with command_running(["bash", "-c", f"ulimit -S -n 256; exec {serve}"]) as url:
        holders = sockets_of(url, psutil.CONN_LISTEN)
        limits = {psutil.Process(pid).rlimit(psutil.RLIMIT_NOFILE) for pid in holders}

    assert len(holders) == workers
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert limits == {(min(hard, 65_536), hard)}


def test_a_port_in_use_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "--port", str(port), "--engine", "scripted")

    assert done.returncode == 1
    assert done.stderr.endswith(
        f"Error: can't listen on 127.0.0.1:{port}: Address already in use\n"
    )


def test_an_unknown_model_is_answered_with_the_known_ones() -> None:
    done = run("serve", "--model", "mistral.none", "--engine", "scripted")

    assert done.returncode == 1
    assert MIXTRAL in done.stderr


def test_every_flag_may_be_a_variable() -> None:
    env = {"INVOKE_API_ENGINE": "scripted", "INVOKE_API_PORT": "0", "INVOKE_API_MODEL": MIXTRAL}
    with command_running([PROGRAM, "serve"], env) as url:
        wait_until_ready(url, seconds=30)
        _, body = call(url, "GET", "/_emulator/health")

    assert list(json.loads(body)["models"]) == [MIXTRAL]


def test_models_may_be_loaded_on_demand_by_a_variable_too() -> None:
    env = {"INVOKE_API_MAX_LOADED_MODELS": "2"}
    with command_running([*COMMAND, "--demo", "tiny", "--model", MIXTRAL], env) as url:
        response, body = call(url, "GET", "/_emulator/ready")

    assert response.status == 200
    cold = {"status": "cold", "running": 0, "waiting": 0}
    assert json.loads(body) == {"models": {MIXTRAL: cold}}


def test_all_interfaces_may_be_asked_for() -> None:
    command = [*COMMAND, "--engine", "scripted"]
    with command_running([*command, "--host", "::1"]) as url:
        assert url.startswith("http://[::1]:")
        wait_until_ready(url, seconds=30)
    with command_running([*command, "--host", "0.0.0.0", "--allow-anonymous"]) as url:
        assert (
            call(url.replace("0.0.0.0", "127.0.0.1"), "GET", "/_emulator/health")[0].status == 200
        )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_peace(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [*COMMAND, "--engine", "scripted", "--log-format", "json"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    lines = [json.loads(process.stderr.readline())]
    process.send_signal(number)
    _, rest = process.communicate(timeout=10)
    lines += [json.loads(line) for line in rest.splitlines()]

    assert process.returncode == 0
    assert {line["level"] for line in lines} == {"info"}


def test_it_is_a_module_too() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "invoke_api", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "0.1.0\n"
