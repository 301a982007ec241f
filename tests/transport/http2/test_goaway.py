"""Clients that send GOAWAY early get the whole answer, and then the connection closes."""

import json
from typing import Any

import h2.events
import pytest
from h2.errors import ErrorCodes
from hypercorn.protocol.h2 import H2Protocol
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from invoke_api.pipeline.request_body import InFlightCalls
from invoke_api.transport.http2 import connection
from tests.sdk.javascript import call_js
from tests.support.http2 import Client
from tests.support.servers import SEVEN_B, app_running, engine_running
from tests.support.stubs import StubEngine

BODY = {"prompt": "Go on."}


def call_100_times(engine: StubEngine, operation: str, at_once: int) -> list[dict[str, Any]]:
    """Return the output of the JavaScript SDK with its default handler."""
    with engine_running(engine) as url:
        answers = call_js(
            endpoint=url,
            handler="default",
            operation=operation,
            modelId=SEVEN_B,
            body=BODY,
            times=100,
            atOnce=at_once,
        )
    assert len(answers) == 100
    return answers


@pytest.mark.slow
def test_a_stream_of_200_slow_tokens_is_whole_100_times() -> None:
    texts = [f" {number}" for number in range(200)]
    answers = call_100_times(StubEngine(texts, pause=0.005), "stream", at_once=20)

    for answer in answers:
        assert [chunk["outputs"][0]["text"] for chunk in answer["chunks"]] == [*texts, ""]


def test_a_reply_of_200_kb_is_whole_100_times() -> None:
    text = "0123456789" * 20_000
    answers = call_100_times(StubEngine([text]), "invoke", at_once=10)

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


def test_a_body_that_comes_after_its_answer_is_read_and_the_connection_goes_on() -> None:
    async def early(_: Request) -> Response:
        return Response("ok")

    app = Starlette(routes=[Route("/early", early)])
    with app_running(app, InFlightCalls()) as url, Client(url) as client:
        client.request_and_keep_sending("/early")
        events = client.read(until=h2.events.WindowUpdated)

    assert not client.closed_by_server
    assert any(isinstance(event, h2.events.WindowUpdated) for event in events)


def test_stock_hypercorn_still_cuts_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "Http2Protocol", H2Protocol)
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
