"""A disconnect cancels the generation, on a stub and on real vLLM."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

import pytest

from invoke_api.transport import slow_readers
from tests.support.http2 import Client
from tests.support.servers import SEVEN_B, call, connect, engine_running
from tests.support.stubs import StubEngine
from tests.support.waiting import until

OPERATIONS = ["invoke", "invoke-with-response-stream"]


def running(url: str) -> int:
    _, body = call(url, "GET", "/_emulator/health")
    count: int = json.loads(body)["models"][SEVEN_B]["running"]
    return count


BODY = json.dumps({"prompt": "turn left", "max_tokens": 8192, "temperature": 0}).encode()


def close_http_1(url: str, path: str) -> None:
    connection = connect(url)
    connection.request("POST", path, BODY)
    until(lambda: running(url) == 1, seconds=30)
    connection.close()


def close_http_2(url: str, path: str) -> None:
    with Client(url) as client:
        client.request(path, BODY)
        until(lambda: running(url) == 1, seconds=30)


def reset_http_2(url: str, path: str) -> None:
    with Client(url) as client:
        client.request(path, BODY)
        until(lambda: running(url) == 1, seconds=30)
        client.reset()
        until(lambda: running(url) == 0, seconds=1)


def stop_reading(url: str, path: str) -> None:
    """Stop reading until the client's window is full, and then close the connection."""
    connection = connect(url)
    connection.request("POST", path, BODY)
    until(lambda: running(url) == 1, seconds=30)
    time.sleep(0.5)
    connection.close()


def stop_reading_http_2(url: str, path: str) -> None:
    with Client(url) as client:
        client.request(path, BODY)
        until(lambda: running(url) == 1, seconds=30)
        time.sleep(0.5)


@pytest.mark.parametrize("leave", [stop_reading, stop_reading_http_2])
def test_while_the_server_waits_for_room(leave: Callable[[str, str], None]) -> None:
    with engine_running(StubEngine([" on" * 10_000] * 10_000)) as url:
        leave(url, f"/model/{SEVEN_B}/invoke-with-response-stream")

        until(lambda: running(url) == 0, seconds=1)
        assert call(url, "GET", "/_emulator/requests")[1].count(b'"cancelled"') == 1


@contextmanager
def staying(url: str, path: str) -> Iterator[None]:
    with closing(connect(url)) as connection:
        connection.request("POST", path, BODY)
        yield


@contextmanager
def staying_http_2(url: str, path: str) -> Iterator[None]:
    with Client(url) as client:
        client.request(path, BODY)
        yield


@pytest.mark.parametrize("stay", [staying, staying_http_2])
def test_a_client_that_stays_and_does_not_read_is_given_up_in_time(
    stay: Callable[[str, str], AbstractContextManager[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow_readers, "STALL_SECONDS", 0.3)
    path = f"/model/{SEVEN_B}/invoke-with-response-stream"
    with engine_running(StubEngine([" on" * 10_000] * 10_000)) as url, stay(url, path):
        until(lambda: running(url) == 1, seconds=30)
        until(lambda: running(url) == 0, seconds=5)

        assert call(url, "GET", "/_emulator/requests")[1].count(b'"cancelled"') == 1


WAYS = [close_http_1, close_http_2, reset_http_2]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("leave", WAYS)
def test_between_two_tokens(leave: Callable[[str, str], None], operation: str) -> None:
    with engine_running(StubEngine([" on"] * 10_000, pause=0.01)) as url:
        leave(url, f"/model/{SEVEN_B}/{operation}")
        until(lambda: running(url) == 0, seconds=1)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("leave", WAYS)
def test_before_the_first_token(leave: Callable[[str, str], None], operation: str) -> None:
    with engine_running(StubEngine([" never"], pause=3_600)) as url:
        leave(url, f"/model/{SEVEN_B}/{operation}")
        until(lambda: running(url) == 0, seconds=1)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("leave", WAYS)
def test_in_real_vllm(demo: str, leave: Callable[[str, str], None], operation: str) -> None:
    leave(demo, f"/model/{SEVEN_B}/{operation}")
    until(lambda: running(demo) == 0, seconds=1)
