"""A client that hangs up ends its generation, in a stub to the letter and in real vLLM."""

import json
import time
from collections.abc import Callable

import pytest

from tests.servers import SEVEN_B, call, connect, engine_running
from tests.stubs import StubEngine

OPERATIONS = ["invoke", "invoke-with-response-stream"]


def running(url: str) -> int:
    _, body = call(url, "GET", "/_emulator/health")
    count: int = json.loads(body)["models"][SEVEN_B]["running"]
    return count


def until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def hang_up_on(url: str, operation: str) -> None:
    """Begin a generation that would go on for long, and leave while it runs."""
    body = json.dumps({"prompt": "turn left", "max_tokens": 8192, "temperature": 0})
    connection = connect(url)
    connection.request("POST", f"/model/{SEVEN_B}/{operation}", body)
    until(lambda: running(url) == 1, seconds=5)
    connection.close()
    until(lambda: running(url) == 0, seconds=1)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_between_two_tokens(operation: str) -> None:
    with engine_running(StubEngine([" on"] * 10_000, pause=0.01)) as url:
        hang_up_on(url, operation)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_before_the_first_token(operation: str) -> None:
    with engine_running(StubEngine([" never"], pause=3_600)) as url:
        hang_up_on(url, operation)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_in_real_vllm(demo: str, operation: str) -> None:
    hang_up_on(demo, operation)
