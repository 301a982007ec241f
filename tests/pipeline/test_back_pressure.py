"""Back-pressure: a client that does not read pauses the engine, and loses nothing."""

import http.client
import json
from contextlib import closing

import pytest

from engine.protocol import Generation, GenerationRequest, Receiver
from tests.support.http2 import Client
from tests.support.servers import SEVEN_B, connect, engine_running
from tests.support.streams import split_frames
from tests.support.stubs import StubEngine
from tests.support.waiting import until

STREAM = f"/model/{SEVEN_B}/invoke-with-response-stream"
TEXTS = [f" {number:05}" + "a" * 20_000 for number in range(1_000)]  # more than all buffers hold
BODY = json.dumps({"prompt": "Hi", "max_tokens": 8_192}).encode()


class Watched:
    """A generation that notes when it is paused and resumed."""

    def __init__(self, inner: Generation, told: list[str]) -> None:
        self._inner = inner
        self._told = told
        self.cancel = inner.cancel

    def pause(self) -> None:
        self._told.append("pause")
        self._inner.pause()

    def resume(self) -> None:
        self._told.append("resume")
        self._inner.resume()


class WatchedEngine(StubEngine):
    """A stub that notes the signals to its generations, and counts the tokens it has pushed."""

    def __init__(self) -> None:
        super().__init__(TEXTS)
        self.told: list[str] = []

    def generate(self, request: GenerationRequest, receiver: Receiver) -> Generation:
        return Watched(super().generate(request, receiver), self.told)


def test_over_http_1() -> None:
    engine = WatchedEngine()
    with engine_running(engine) as url, closing(connect(url)) as connection:
        connection.request("POST", STREAM, BODY)
        until(lambda: engine.told == ["pause"])
        assert engine.running() == 1
        body = connection.getresponse().read()

    assert len(split_frames(body)) == len(TEXTS) + 1
    assert engine.told[:2] == ["pause", "resume"]
    assert engine.told.count("pause") == engine.told.count("resume")


def test_over_http_2() -> None:
    engine = WatchedEngine()
    with engine_running(engine) as url, Client(url) as client:
        client.set_window(0)
        client.request(STREAM, BODY)
        until(lambda: engine.told == ["pause"])

        assert engine.running() == 1


@pytest.mark.parametrize("operation", ["invoke", "converse"])
def test_a_whole_answer_never_waits_for_its_client(operation: str) -> None:
    engine = WatchedEngine()
    user = {"role": "user", "content": [{"text": "Hi"}]}
    body = BODY if operation == "invoke" else json.dumps({"messages": [user]}).encode()
    with engine_running(engine) as url, closing(connect(url)) as connection:
        connection.request("POST", f"/model/{SEVEN_B}/{operation}", body)
        answer: http.client.HTTPResponse = connection.getresponse()

        assert answer.status == 200
        assert len(answer.read()) > len(TEXTS) * 10_000
    assert engine.told == []
