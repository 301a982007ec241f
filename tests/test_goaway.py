"""Clients that send GOAWAY early still get all of the answer, and then the connection closes."""

import json

import h2.events
import hypercorn.protocol
import pytest
from h2.errors import ErrorCodes
from hypercorn.protocol.h2 import H2Protocol

from invoke_api import goaway
from tests.http2 import Client
from tests.sdk.javascript import call_js
from tests.servers import SEVEN_B, engine_running
from tests.stubs import StubEngine

TIMES = 100
BODY = {"prompt": "Go on."}


def test_a_stream_of_200_slow_tokens_is_whole_100_times() -> None:
    texts = [f" {number}" for number in range(200)]
    with engine_running(StubEngine(texts, pause=0.005)) as url:
        answers = call_js(
            endpoint=url,
            handler="default",
            operation="stream",
            modelId=SEVEN_B,
            body=BODY,
            times=TIMES,
            atOnce=20,
        )

    assert len(answers) == TIMES
    for answer in answers:
        assert [chunk["outputs"][0]["text"] for chunk in answer["chunks"]] == [*texts, ""]


def test_a_reply_of_200_kb_is_whole_100_times() -> None:
    text = "0123456789" * 20_000
    with engine_running(StubEngine([text])) as url:
        answers = call_js(
            endpoint=url,
            handler="default",
            operation="invoke",
            modelId=SEVEN_B,
            body=BODY,
            times=TIMES,
            atOnce=10,
        )

    assert len(answers) == TIMES
    assert all(answer["body"]["outputs"][0]["text"] == text for answer in answers)


def open_stream(client: Client) -> None:
    path = f"/model/{SEVEN_B}/invoke-with-response-stream"
    client.request(path, json.dumps(BODY).encode())
    client.read(until=h2.events.ResponseReceived)


def test_after_a_friendly_goodbye_the_stream_ends_and_then_the_connection() -> None:
    engine = StubEngine([" a", " b", " c"], pause=0.1)
    with engine_running(engine) as url, Client(url) as client:
        open_stream(client)
        client.say_goodbye(ErrorCodes.NO_ERROR)
        events = client.read()

    assert any(isinstance(event, h2.events.StreamEnded) for event in events)
    assert client.closed_by_server


def test_after_a_goodbye_and_a_reset_the_connection_ends() -> None:
    engine = StubEngine([" a"] * 1_000, pause=0.01)
    with engine_running(engine) as url, Client(url) as client:
        open_stream(client)
        client.say_goodbye(ErrorCodes.NO_ERROR)
        client.reset()
        client.read()

    assert client.closed_by_server


def test_a_long_body_that_is_refused_leaves_its_neighbours_alone() -> None:
    answers = []
    with engine_running(StubEngine([" a"], pause=0.1)) as url:
        for model in ("mistral.nope-v9:9", SEVEN_B):
            answers += call_js(
                endpoint=url,
                handler="default",
                operation="invoke",
                modelId=model,
                body={"prompt": "word " * 1_000},
                pad=20_000_000 if model != SEVEN_B else 0,
                times=3,
                atOnce=3,
            )

    assert [answer.get("error") for answer in answers] == ["ValidationException"] * 3 + [None] * 3


def test_stock_hypercorn_still_cuts_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(goaway, "install", lambda: None)
    monkeypatch.setattr(hypercorn.protocol, "H2Protocol", H2Protocol)
    engine = StubEngine([" a", " b", " c"], pause=0.1)
    with engine_running(engine) as url, Client(url) as client:
        open_stream(client)
        client.say_goodbye(ErrorCodes.NO_ERROR)
        events = client.read()

    assert not any(isinstance(event, h2.events.StreamEnded) for event in events)


@pytest.mark.parametrize("code", [ErrorCodes.NO_ERROR, ErrorCodes.PROTOCOL_ERROR])
def test_a_goodbye_with_nothing_open_closes_the_connection(code: ErrorCodes) -> None:
    with engine_running(StubEngine()) as url, Client(url) as client:
        client.say_goodbye(code)
        client.read()

    assert client.closed_by_server


def test_a_goodbye_with_an_error_ends_everything() -> None:
    engine = StubEngine([" a"] * 1_000, pause=0.01)
    with engine_running(engine) as url, Client(url) as client:
        open_stream(client)
        client.say_goodbye(ErrorCodes.PROTOCOL_ERROR)
        events = client.read()

    assert not any(isinstance(event, h2.events.StreamEnded) for event in events)
    assert client.closed_by_server
