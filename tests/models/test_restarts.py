"""Restarts of engines that crashed or failed to load, as clients and operators see them."""

import json
from typing import Any

import pytest

from engine.lifecycle import supervised
from engine.lifecycle.backoff import Backoff
from engine.lifecycle.supervised import SupervisedEngine
from tests.support.servers import SEVEN_B, call, engine_running, invoke
from tests.support.stubs import SwappedStub
from tests.support.waiting import until

BODY = {"prompt": "Hi", "max_tokens": 4}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised, "CHECK_SECONDS", 0.01)


def told(url: str, path: str = "health") -> tuple[int, dict[str, Any]]:
    response, body = call(url, "GET", f"/_emulator/{path}")
    state: dict[str, Any] = json.loads(body)["models"][SEVEN_B]
    return response.status, state


def answer(url: str) -> tuple[int, str]:
    response, _ = invoke(url, BODY)
    return response.status, response.headers["x-amzn-ErrorType"] or ""


def test_a_death_is_told_and_the_engine_comes_back() -> None:
    stub = SwappedStub()
    with engine_running(SupervisedEngine(stub, SEVEN_B, backoff=Backoff(first=0.5))) as url:
        until(lambda: told(url)[1]["status"] == "ready")
        stub.may_load.clear()
        stub.die()
        until(lambda: "retry_in_seconds" in told(url)[1])
        status, state = told(url, "ready")
        refused = answer(url)
        until(lambda: told(url)[1]["status"] == "loading")
        waiting = answer(url)
        stub.may_load.set()
        until(lambda: told(url, "ready")[0] == 200)

        assert answer(url)[0] == 200
    assert status == 503
    assert 0 <= state.pop("retry_in_seconds") <= 0.5
    assert state == {"status": "failed", "running": 0, "reason": "its core has died"}
    assert (refused[0], refused[1].partition(":")[0]) == (503, "ServiceUnavailableException")
    assert (waiting[0], waiting[1].partition(":")[0]) == (429, "ModelNotReadyException")


def test_who_is_given_up_says_only_why() -> None:
    stub = SwappedStub()
    stub.failure = "no such file"
    with engine_running(SupervisedEngine(stub, SEVEN_B, backoff=Backoff(tries=1))) as url:
        until(lambda: told(url)[1]["status"] == "failed")

        assert told(url, "ready") == (
            503,
            {"status": "failed", "running": 0, "reason": "no such file"},
        )
