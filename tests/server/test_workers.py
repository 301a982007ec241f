"""`serve --workers`: several real processes with one port and the same engines."""

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from importlib.util import find_spec
from multiprocessing import Pipe
from pathlib import Path

import psutil
import pytest
import yaml
from click.testing import CliRunner

from engine.demo import options as demo
from engine.demo.checkpoints import CONTEXT_LENGTH, make_demo
from invoke_api.cli import main
from invoke_api.models.registry import DEFAULT_REGISTRY
from invoke_api.server.worker import MessageChannel
from tests.support.metrics import Scrape
from tests.support.servers import (
    COMMAND,
    SEVEN_B,
    call,
    command_running,
    connect,
    invoke,
    sockets_of,
)
from tests.support.waiting import until

WORKERS = 2
SOURCE = {"copyFrom": f"arn:aws:bedrock:us-east-1::foundation-model/{SEVEN_B}"}
PROMPT = {"prompt": "turn left", "max_tokens": 60, "temperature": 0}


@contextmanager
def workers(*flags: str, **env: str) -> Iterator[str]:
    with command_running([*COMMAND, "--workers", str(WORKERS), *flags], env, seconds=60) as url:
        yield url


@pytest.fixture(scope="module")
def scripted() -> Iterator[str]:
    with workers("--engine", "scripted") as url:
        yield url


def test_every_worker_answers_on_the_same_port(scripted: str) -> None:
    with ExitStack() as stack:  # one worker gets all of them once in 2^39 runs
        connections = [stack.enter_context(closing(connect(scripted))) for _ in range(40)]
        bodies = {ask(connection) for connection in connections}
        listening = sockets_of(scripted, psutil.CONN_LISTEN)
        taken = sockets_of(scripted, psutil.CONN_ESTABLISHED)

    assert len(bodies) == 1
    assert len(listening) == WORKERS
    assert taken.total() == len(connections)
    assert set(taken) == set(listening)


def ask(connection: HTTPConnection) -> bytes:
    """Return the answer once this connection's worker has loaded its tokenizer."""
    deadline = time.monotonic() + 30
    while True:
        connection.request("POST", f"/model/{SEVEN_B}/invoke", json.dumps(PROMPT))
        response = connection.getresponse()
        body = response.read()
        if response.status == 200:
            return body
        assert response.status == 429, body
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_any_worker_tells_the_metrics_of_all(scripted: str) -> None:
    def answered() -> float:
        return Scrape(scripted).sum("invoke_api_calls_total", model_id=SEVEN_B, status="200")

    before = answered()
    with ExitStack() as stack:
        for _ in range(40):
            ask(stack.enter_context(closing(connect(scripted))))
    until(lambda: answered() == before + 40)
    listening = sockets_of(scripted, psutil.CONN_LISTEN)

    for _ in range(10):  # one worker answers all of them once in 2^9 runs
        assert answered() == before + 40
    scrape = Scrape(scripted)
    assert scrape.labels("process_cpu_seconds_total", "pid") == set(map(str, listening))
    assert scrape.sum("invoke_api_engine_state", engine="scripted-1", state="ready") == 1
    assert scrape.sum("invoke_api_call_duration_seconds_count") == before + 40
    assert scrape.sum("invoke_api_time_to_first_token_seconds_count") == before + 40
    assert scrape.sum("invoke_api_calls_under_way") == 0


def test_metrics_are_kept_in_a_folder_of_their_own_that_is_removed(tmp_path: Path) -> None:
    # The folder that the variable names is not used, because it may belong to other programs.
    temporary, other = tmp_path / "temporary", tmp_path / "other"
    for folder in (temporary, other):
        folder.mkdir()
    env = {"TMPDIR": str(temporary), "PROMETHEUS_MULTIPROC_DIR": str(other)}
    with workers("--engine", "scripted", **env) as url:
        call(url, "GET", "/nowhere")
        until(lambda: Scrape(url).sum("invoke_api_calls_total") == 1)
        kept = list(temporary.glob("invoke-api-metrics-*/*.db"))

    assert kept
    assert list(temporary.glob("invoke-api*")) == []
    assert list(other.iterdir()) == []


@pytest.mark.parametrize("path", ["rules", "requests", "reset"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_rules_and_journal_need_one_worker(scripted: str, method: str, path: str) -> None:
    response, body = call(scripted, method, f"/_emulator/{path}")

    assert response.status == 409
    assert b"serve without --workers" in body


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_so_does_the_configuration_of_the_invocation_log(scripted: str, method: str) -> None:
    body = json.dumps({"loggingConfig": {"textDataDeliveryEnabled": True}}).encode()
    response, answer = call(scripted, method, "/logging/modelinvocations", body)

    assert response.status == 400
    assert b"one worker only" in answer


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/inference-profiles", {"inferenceProfileName": "a", "modelSource": SOURCE}),
        ("DELETE", "/inference-profiles/abcdefghij12", {}),
    ],
)
def test_so_do_the_profiles_of_applications(
    scripted: str, method: str, path: str, body: dict[str, object]
) -> None:
    response, answer = call(scripted, method, path, json.dumps(body).encode())

    assert response.status == 400
    assert b"inference profiles with one worker only" in answer


@contextmanager
def started(**env: str) -> Iterator[tuple[subprocess.Popen[str], list[psutil.Process]]]:
    """Start the service, and yield the first process and the workers."""
    with subprocess.Popen(
        [*COMMAND, "--workers", str(WORKERS), "--engine", "scripted"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **env},
    ) as process:
        assert process.stderr
        lines = (re.search(r"listens on (\S+)", line) for line in process.stderr)
        try:
            found = next(filter(None, lines))
            yield process, [psutil.Process(pid) for pid in sockets_of(found[1], psutil.CONN_LISTEN)]
        finally:
            process.kill()


def test_a_worker_that_dies_is_replaced_and_the_other_goes_on() -> None:
    with started() as (process, (first, second)):
        url = url_of(second)
        with ExitStack() as stack, ThreadPoolExecutor(8) as pool:
            until(lambda: call(url, "GET", "/_emulator/ready")[0].status == 200)
            kept = [stack.enter_context(closing(connect(url))) for _ in range(16)]
            for each in kept:
                ask(each)
            owned = taken_by(url, second.pid)
            first.kill()
            outcomes = list(pool.map(outcome, kept))
            until(lambda: len(listeners(url)) == 1)
            while_one = [call(url, "GET", "/_emulator/ready")[0].status for _ in range(10)]
            until(lambda: len(listeners(url)) == WORKERS, seconds=30)
            afterwards = [invoke(url, PROMPT)[0].status for _ in range(20)]
        answered = Scrape(url).sum("invoke_api_calls_total", model_id=SEVEN_B, status="200")
        process.terminate()
        told = process.communicate(timeout=30)[1]

    assert process.returncode == 0
    assert "worker-1 has ended" in told or "worker-2 has ended" in told
    assert outcomes.count(200) == owned, "only what the dead one had is lost"
    assert while_one == [200] * 10
    assert afterwards == [200] * 20, "it takes no calls before its models are ready"
    assert answered >= len(kept) + owned + len(afterwards), "what the dead one counted still counts"


def url_of(process: psutil.Process) -> str:
    [port] = {each.laddr.port for each in process.net_connections("tcp") if each.status == "LISTEN"}
    return f"http://127.0.0.1:{port}"


def listeners(url: str) -> set[int | None]:
    return set(sockets_of(url, psutil.CONN_LISTEN))


def taken_by(url: str, pid: int) -> int:
    return sockets_of(url, psutil.CONN_ESTABLISHED)[pid]


def outcome(connection: HTTPConnection) -> int:
    try:
        connection.request("POST", f"/model/{SEVEN_B}/invoke", json.dumps(PROMPT))
        return connection.getresponse().status
    except OSError:
        return 0


def test_workers_end_with_the_first_process(tmp_path: Path) -> None:
    with started(TMPDIR=str(tmp_path)) as (process, children):
        process.kill()

    assert len(children) == WORKERS
    assert psutil.wait_procs(children, timeout=10)[1] == []
    assert list(tmp_path.iterdir()) == []


def answers_until_all_are_ready(url: str, *expected: int) -> list[bytes]:
    """Call until ten answers in a row have status 200, and return their bodies with earlier ones.

    Other answers must have an `expected` status: workers become ready one after another.
    """
    deadline = time.monotonic() + 240
    bodies: list[bytes] = []
    in_a_row = 0
    while in_a_row < 10:
        assert time.monotonic() < deadline
        response, body = invoke(url, PROMPT)
        if response.status == 200:
            bodies.append(body)
            in_a_row += 1
        else:
            assert response.status in expected, body
            in_a_row = 0
            time.sleep(0.5)
    return bodies


def registry_of(folder: Path, **more: object) -> Path:
    """Write a registry of one model, with these keys instead of its own."""
    registry = yaml.safe_load(DEFAULT_REGISTRY.read_text())
    del registry["endpoints"]
    registry["models"] = [{**each, **more} for each in registry["models"] if each["id"] == SEVEN_B]
    path = folder / "registry.yaml"
    path.write_text(yaml.safe_dump(registry))
    return path


@pytest.mark.vllm
def test_they_share_vllms_cores_which_are_started_again_when_one_dies(
    tmp_path: Path, checkpoints: Path
) -> None:
    registry = registry_of(
        tmp_path,
        weights=str(make_demo("dense", checkpoints)),
        tokenizer="v3",
        context_length=CONTEXT_LENGTH,
        vllm={**demo.OPTIONS, "data_parallel_size": 2, "disable_log_stats": False},
    )
    with workers("--registry", str(registry), **demo.ENVIRONMENT) as url:
        answers = answers_until_all_are_ready(url, 429)

        assert len(set(answers)) == 1
        tokens = 60 * len(answers)
        until(lambda: Scrape(url).sum("vllm:generation_tokens_total") == tokens)
        scrape = Scrape(url)
        assert scrape.sum("invoke_api_output_tokens_total") == tokens
        assert scrape.sum("vllm:request_success_total") == len(answers)

        (team,) = {psutil.Process(pid).ppid() for pid in sockets_of(url, psutil.CONN_LISTEN)}
        cores = [each for each in psutil.Process(team).children() if "EngineCor" in each.name()]
        assert len(cores) == 2
        long = {**PROMPT, "max_tokens": 8_000}
        with ThreadPoolExecutor(8) as pool:
            calls = [pool.submit(invoke, url, long) for _ in range(8)]
            until(lambda: Scrape(url).sum("invoke_api_engine_calls_running") == 8)
            cores[0].kill()
            statuses = [each.result(timeout=30)[0].status for each in calls]

        assert statuses == [503] * 8
        models = json.loads(call(url, "GET", "/_emulator/health")[1])["models"]
        assert models[SEVEN_B]["status"] in {"failed", "loading"}
        assert set(answers_until_all_are_ready(url, 429, 503)) == set(answers)

        children = psutil.Process(team).children(recursive=True)
        psutil.Process(team).kill()
        assert psutil.wait_procs(children, timeout=120)[1] == [], "a core outlives who started it"


def test_who_ends_before_it_has_heard_all_is_one_who_has_ended() -> None:
    ours, theirs = Pipe()
    channel = MessageChannel(ours)
    channel.send("news")
    theirs.send("said")
    theirs.close()

    assert channel.receive() == "said"
    assert channel.receive() is None
    channel.send("more")


def test_another_service_does_not_share_the_port(scripted: str) -> None:
    port = scripted.rsplit(":", 1)[1]

    done = CliRunner().invoke(
        main, ["serve", "--port", port, "--workers", "2", "--engine", "scripted"]
    )

    assert done.exit_code == 1
    assert done.output == f"Error: can't listen on 127.0.0.1:{port}: Address already in use\n"


def test_cores_of_rays_are_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        "engine.vllm.options.find_spec", lambda name: name == "ray" or find_spec(name)
    )
    registry = registry_of(tmp_path, vllm={"data_parallel_backend": "ray"})
    flags = ["--registry", str(registry), "--port", "0", "--workers", "2", "--engine", "vllm"]

    done = CliRunner().invoke(main, ["serve", *flags])

    assert done.exit_code == 1
    sentence = "data_parallel_backend: ray needs one front end; serve without --workers"
    assert done.output == f"Error: {SEVEN_B}: {sentence}\n"
