"""Hostile servers: each call ends, with its connection."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from engine.errors import EngineDead, EngineError, EngineTimeout, PromptTooLong, RequestRefused
from engine.protocol import EngineLimits, GenerationRequest
from engine.remote import completions
from engine.remote import server as remote_server
from engine.remote.completions import (
    MAX_EVENT_BYTES,
    EventLines,
    find_window,
    parse_event,
    to_error,
)
from engine.remote.engine import RemoteEngine
from tests.engine.remote.test_engine import engine_of, run, running
from tests.support.completions_server import STREAM, CompletionsServer, Play, chunk, event, say
from tests.support.waiting import until_in_loop

REQUEST = GenerationRequest(request_id="request", prompt=(1, 2), max_tokens=5)
DEEP = "[" * 1_000 + "]" * 1_000


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_server, "RETRY_DELAYS", ())


def endless(head: bytes, part: bytes, pause: float = 0) -> Play:
    """Play a part again and again until the client disconnects."""

    async def play(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        with suppress(ConnectionError):
            while True:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause)
        await asyncio.Event().wait()  # the server counts calls whose client has left

    return play


LINE = endless(STREAM + chunk(b"data: "), chunk(b"x" * 65_536))
ERROR = endless(b"HTTP/1.1 500 Such\r\ncontent-length: 99999999999\r\n\r\n", b"x" * 65_536)
CHUNKED_ERROR = endless(STREAM.replace(b"200", b"400"), chunk(b'{"error":' * 10_000))


@pytest.mark.parametrize(
    ("play", "error", "sentence"),
    [
        (LINE, EngineDead, f"longer than {MAX_EVENT_BYTES} bytes"),
        (ERROR, EngineDead, "answered 500: xxxx"),
        (CHUNKED_ERROR, RequestRefused, '{"error":{"error":'),
        (endless(STREAM, chunk(b"data: {}\n\n"), 0.01), EngineTimeout, "no token came in time"),
        (endless(STREAM, chunk(b": a\n"), 0.01), EngineTimeout, "no token came in time"),
        (endless(STREAM + chunk(b"data: "), chunk(b"x"), 0.01), EngineTimeout, "in time"),
        (endless(b"HTTP/1.1 200 Such\r\n", b"a: b\r\n", 0.01), EngineTimeout, "in time"),
        (endless(b"HTTP/1.1 200 Such\r\na: ", b"b" * 9_999), EngineDead, "RemoteProtocolError"),
    ],
    ids=["line", "error", "chunked error", "events", "comments", "drips", "heads", "head"],
)
async def test_what_has_no_end_is_ended(
    play: Play, error: type[EngineError], sentence: str
) -> None:
    server = CompletionsServer([play])
    seconds = 0.5 if error is EngineTimeout else 60.0
    async with running(server, limits=EngineLimits(first_token_seconds=seconds)) as engine:
        with pytest.raises(error, match=sentence):
            await asyncio.wait_for(run(engine), 60)
        await until_in_loop(lambda: server.left == 1)


async def test_events_without_end_end_with_the_tokens_asked_for() -> None:
    server = CompletionsServer([endless(STREAM, chunk(event(" A")))])
    async with running(server) as engine:
        deltas = await asyncio.wait_for(run(engine, max_tokens=20), 10)
        await until_in_loop(lambda: server.left == 1)

    assert len(deltas) == 20
    assert deltas[-1].finish == "length"


async def test_a_text_of_a_megabyte_in_one_event_holds_nobody_up() -> None:
    server = CompletionsServer([say("x" * 1_000_000, finish=None)])
    async with running(server) as engine:
        longest, before = 0.0, asyncio.get_running_loop().time()
        asked = asyncio.create_task(run(engine, max_tokens=20))
        while not asked.done():
            await asyncio.sleep(0.001)
            now = asyncio.get_running_loop().time()
            longest, before = max(longest, now - before), now

    assert (await asked)[-1].finish == "length"
    assert longest < 0.5  # reading all of it takes 0.9 s


IDS: list[Any] = [2**70, -1, True, 2**31, 1.5, None, "5", [5], {}]


@pytest.mark.parametrize("token", IDS, ids=repr)
async def test_token_ids_that_are_none_are_an_error(token: Any) -> None:
    server = CompletionsServer([say(finish=None, more=[event(" A", token_ids=[token])])])
    async with running(server, token_ids=True) as engine:
        with pytest.raises(EngineDead, match="invalid event of a completion"):
            await run(engine)


@pytest.mark.parametrize(
    "data",
    [
        *(f'{{"choices": [{{"token_ids": {ids}}}]}}' for ids in ('"ab"', "7", '{"1": 2}')),
        *(f'{{"choices": [{{"text": {text}}}]}}' for text in ("7", "[1]", "{}", "true", DEEP)),
        *(f'{{"choices": [{{"finish_reason": {why}}}]}}' for why in ("7", "[1]", '{"a": 1}')),
        *('{"choices": {"a": 1}}', '{"choices": [1]}', '{"choices": [{}, {}]}', '{"choices": "a"}'),
        *("[]", "7", '"a"', "null", "NaN", "", "{", DEEP, "9" * 5_000, '{"error": [}'),
        '{"choices": [{"text": "\\ud800"}]}',
    ],
    ids=lambda data: data[:40],
)
def test_an_event_that_is_none_is_an_error(data: str) -> None:
    with pytest.raises(EngineDead, match="invalid event of a completion"):
        parse_event(data.encode(), REQUEST)


@pytest.mark.parametrize("error", [DEEP, '"gone"', "7", '{"code": true}', f'{{"message": {DEEP}}}'])
def test_an_error_in_a_stream_may_be_anything(error: str) -> None:
    with pytest.raises(EngineDead, match="it answered 500: ") as caught:
        parse_event(f'{{"error": {error}}}'.encode(), REQUEST)

    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("window", ["true", "-1", "0", "1e3", str(2**70), DEEP])
def test_a_window_that_is_no_number_of_tokens_tells_nothing(window: str) -> None:
    models = f'{{"data": [{{"id": "model", "max_model_len": {window}}}]}}'
    refused = to_error(400, f'{{"error": {{"n_ctx": {window}}}}}'.encode(), REQUEST)

    assert find_window(models.encode(), "model") is None
    assert type(refused) is RequestRefused
    assert type(to_error(400, b'{"error": {"n_ctx": 7}}', REQUEST)) is PromptTooLong


def test_a_line_may_be_long_and_come_in_single_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = EventLines()
    assert lines.push(b"data: " + b"x" * (MAX_EVENT_BYTES - 6)) == []
    assert lines.push(b"\n") == [b"x" * (MAX_EVENT_BYTES - 6)]
    monkeypatch.setattr(completions, "MAX_EVENT_BYTES", 1_000_000)
    for _ in range(1_000_000):
        assert lines.push(b"x") == []
    with pytest.raises(EngineDead, match="longer than"):
        lines.push(b"x")


class Odd(CompletionsServer):
    """A server with this play for `/v1/models`."""

    async def _answer(
        self, head: str, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if "/v1/models" in head.split()[1]:
            await self.plays[0](writer)
        else:
            await super()._answer(head, body, reader, writer)


@pytest.mark.parametrize(
    ("play", "sentence"),
    [
        (endless(STREAM, chunk(b" " * 65_536)), "/v1/models answers more than 4194304 bytes"),
        (endless(STREAM, chunk(b" "), 0.01), "it has not answered a probe within 0.2 s"),
        (
            endless(b"HTTP/1.1 200 Such\r\n", b"a: b\r\n", 0.01),
            "it has not answered a probe within 0.2 s",
        ),
    ],
    ids=["long", "slow", "slow head"],
)
async def test_a_look_that_has_no_end_is_ended(
    monkeypatch: pytest.MonkeyPatch, play: Play, sentence: str
) -> None:
    monkeypatch.setattr(remote_server, "PROBE_TIMEOUT_SECONDS", 0.2)
    server = Odd([play])
    async with server.running():
        engine: RemoteEngine = engine_of(server, start_seconds=1.0)
        try:
            await asyncio.wait_for(engine.start(), 20)
            state = engine.state()
        finally:
            await engine.close()

    assert state.status == "failed"
    assert sentence in str(state.reason)
