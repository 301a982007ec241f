"""Models that load on demand, as clients see them, on stubs and on real vLLM."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from engine.lifecycle.lru_pool import LruPool, OnDemandEngine
from engine.protocol import EngineLimits
from tests.support.clients import client
from tests.support.servers import (
    COMMAND,
    MIXTRAL,
    SEVEN_B,
    call,
    command_running,
    connect,
    engine_running,
    invoke,
)
from tests.support.stubs import SwappedStub
from tests.support.waiting import until

BODY = {"prompt": "turn left", "max_tokens": 4, "temperature": 0}
PATH = f"/model/{SEVEN_B.replace(':', '%3A')}/invoke"


def on_demand(stub: SwappedStub, **limits: Any) -> OnDemandEngine:
    return LruPool(1).add(stub, SEVEN_B, EngineLimits(**limits))


def states(url: str) -> dict[str, Any]:
    _, body = call(url, "GET", "/_emulator/health")
    models: dict[str, Any] = json.loads(body)["models"]
    return models


def test_a_service_with_cold_models_is_ready_and_the_first_call_is_answered() -> None:
    with engine_running(on_demand(SwappedStub())) as url:
        ready, _ = call(url, "GET", "/_emulator/ready")
        before = states(url)
        response, _ = invoke(url, BODY)
        after = states(url)

    assert ready.status == 200
    assert before == {SEVEN_B: {"status": "cold", "running": 0, "waiting": 0}}
    assert response.status == 200
    assert after == {SEVEN_B: {"status": "ready", "running": 0, "waiting": 0}}


@pytest.mark.parametrize("operation", ["invoke", "invoke-with-response-stream"])
def test_a_load_that_takes_too_long_is_a_model_that_is_not_ready(operation: str) -> None:
    stub = SwappedStub()
    stub.may_load.clear()
    with engine_running(on_demand(stub, load_seconds=0.05)) as url:
        response, _ = invoke(url, BODY, operation=operation)
        ready, _ = call(url, "GET", "/_emulator/ready")

    assert response.status == 429
    assert response.headers["x-amzn-ErrorType"].startswith("ModelNotReadyException:")
    assert ready.status == 200


def test_a_load_that_fails_is_a_service_that_is_not_available() -> None:
    stub = SwappedStub()
    stub.failure = "no memory"
    with engine_running(on_demand(stub)) as url:
        response, _ = invoke(url, BODY)
        ready, report = call(url, "GET", "/_emulator/ready")

    assert response.status == 503
    assert response.headers["x-amzn-ErrorType"].startswith("ServiceUnavailableException:")
    assert ready.status == 503
    assert json.loads(report)["models"][SEVEN_B]["reason"] == "no memory"


def test_a_full_queue_throttles_and_a_disconnect_makes_room_in_it() -> None:
    stub = SwappedStub()
    stub.may_load.clear()
    with engine_running(on_demand(stub, queue=1)) as url:
        connection = connect(url)
        connection.request("POST", PATH, json.dumps(BODY))
        until(lambda: states(url)[SEVEN_B]["waiting"] == 1)
        response, _ = invoke(url, BODY)
        connection.close()
        until(lambda: states(url)[SEVEN_B]["waiting"] == 0)

    assert response.status == 429
    assert response.headers["x-amzn-ErrorType"].startswith("ThrottlingException:")


@pytest.mark.vllm
def test_two_models_in_the_memory_of_one_are_answered_in_turns(checkpoints: Path) -> None:
    command = [*COMMAND, "--demo", "tiny", "--cache-dir", str(checkpoints)]
    command += ["--max-loaded-models", "1"]
    command += ["--model", SEVEN_B, "--model", MIXTRAL]
    with command_running(command) as url, client(url, "AKIDEXAMPLE") as runtime:
        ready, _ = call(url, "GET", "/_emulator/ready")
        assert ready.status == 200
        assert not processes(url)
        for model, other in ((SEVEN_B, MIXTRAL), (MIXTRAL, SEVEN_B), (SEVEN_B, MIXTRAL)):
            answer = runtime.invoke_model(modelId=model, body=json.dumps(BODY))
            [output] = json.loads(answer["body"].read())["outputs"]

            assert output == {"text": " right left right left", "stop_reason": "length"}
            found = {name: state["status"] for name, state in states(url).items()}
            assert found == {model: "ready", other: "cold"}
            assert processes(url) == ["VLLM::EngineCore"]


def processes(url: str) -> list[str]:
    """Return the vLLM processes of the service's session, also those without a parent."""
    [service] = [
        child
        for child in psutil.Process().children()
        if any(each.laddr.port == urlsplit(url).port for each in child.net_connections())
    ]
    names = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) == service.pid:
                names.append(" ".join(process.cmdline()).strip())
    return sorted(name for name in names if name.startswith("VLLM::"))
