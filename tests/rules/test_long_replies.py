"""Long replies of rules: encoded once, in a thread, and framed no faster than clients read."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from starlette.types import Message

from engine.generation_task import BATCH_TOKENS
from engine.protocol import GenerationRequest
from engine.scripted import ScriptedEngine
from engine.tokenization.tokenizer import Tokenizer, load_tokenizer
from invoke_api.cassettes.matcher import CassetteLibrary, Replay, to_cassettes
from invoke_api.cassettes.recording import RecordedPart, Recording
from invoke_api.models.engine_pool import Engines
from invoke_api.models.registry import DEFAULT_REGISTRY, load_registry
from invoke_api.pipeline.request_body import InFlightCalls
from invoke_api.rules.playback import play_verdict
from invoke_api.rules.rule_book import Verdict
from invoke_api.rules.token_cache import MAX_INLINE_CHARACTERS, TokenCache
from invoke_api.server.app import create_app
from invoke_api.wire.events import encode_chunk
from tests.cassettes.test_reader import a_recording
from tests.rules.test_rules import rule
from tests.support.http2 import Client
from tests.support.receiving import RecordingReceiver, batches_of
from tests.support.servers import COMMAND, SEVEN_B, call, command_running, invoke, wait_until_ready

STREAM = f"/model/{SEVEN_B}/invoke-with-response-stream"
LONG = " ".join(f"word{number % 500}" for number in range(9_000))
ASKED = json.dumps({"prompt": "long", "max_tokens": 8_192}).encode()
STREAMS = 300


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return load_tokenizer("v1")


class Reads:
    """A tokenizer that records the texts that it encodes, and the threads."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.threads: list[int] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def encode_text(self, text: str) -> list[int]:
        self.threads.append(threading.get_ident())
        assert self.may_go_on.wait(10)
        return self._tokenizer.encode_text(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)


def request(max_tokens: int = 8_192) -> GenerationRequest:
    return GenerationRequest(request_id="r", prompt=(1, 2), max_tokens=max_tokens)


def saying(text: str) -> Verdict:
    return Verdict("1", text, (), None, None)


async def spoken(text: str, tokenizer: Tokenizer) -> list[Sequence[int]]:
    """Return the deltas that a rule's text pushes."""
    ear = RecordingReceiver()
    generation = play_verdict(saying(text), tokenizer, 32_768, request(), ear)
    await ear.wait_for_end()
    generation.cancel()
    assert (ear.finish, ear.error, ear.surplus) == ("length", None, 0)
    return ear.pushes


async def test_a_long_reply_comes_in_batches_and_is_the_same(tokenizer: Tokenizer) -> None:
    found = await spoken(LONG, tokenizer)

    assert list(chain(*found)) == tokenizer.encode_text(LONG)[: request().max_tokens]
    assert max(map(len, found)) == BATCH_TOKENS


async def test_a_short_reply_is_pushed_at_once(tokenizer: Tokenizer) -> None:
    ear = RecordingReceiver()
    play_verdict(saying(" It rains."), tokenizer, 32_768, request(), ear)

    assert (len(ear.pushes), ear.finish) == (1, "stop")


@asynccontextmanager
async def counting_turns() -> AsyncIterator[list[int]]:
    """Yield a list of one number: how often the event loop has run."""
    turns = [0]

    async def count() -> None:
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(count())
    yield turns
    other.cancel()


async def test_others_have_their_turn_between_two_batches(tokenizer: Tokenizer) -> None:
    async with counting_turns() as turns:
        found = await spoken(LONG, tokenizer)

    assert turns[0] >= len(found) - 1 > 60


async def test_others_have_their_turn_while_a_long_recording_is_played() -> None:
    frame = encode_chunk(b'{"outputs":[{"text":" a","stop_reason":null}]}', 4)
    last = encode_chunk(b'{"outputs":[{"text":"","stop_reason":"stop"}]}', 4)
    parts = (RecordedPart(at=1, raw=frame),) * 20 * BATCH_TOKENS + (RecordedPart(at=1, raw=last),)
    long = a_recording(is_stream=True, parts=parts)
    sent: list[Message] = []
    async with counting_turns() as turns:
        await replayed(long, sent)

    assert (
        b"".join(message.get("body", b"") for message in sent) == frame * 20 * BATCH_TOKENS + last
    )
    assert turns[0] >= 19


async def replayed(recording: Recording, sent: list[Message]) -> None:
    """Call a replaying service and return the recorded answer."""
    cassettes = to_cassettes([("here", recording)], lambda *_: None)
    app = create_app(
        load_registry(DEFAULT_REGISTRY).only(()),
        Engines({}),
        InFlightCalls(),
        recordings=Replay(CassetteLibrary(cassettes)),
    )

    async def send(message: Message) -> None:
        sent.append(message)

    came = [{"type": "http.request", "body": recording.request_body, "more_body": False}]

    async def receive() -> Message:
        if not came:
            await asyncio.Event().wait()
        return came.pop()

    headers = [(name.encode(), value.encode()) for name, value in recording.request_headers]
    async with app.router.lifespan_context(app) as state:
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": recording.method,
            "path": recording.path,
            "raw_path": recording.path.encode(),
            "query_string": b"",
            "headers": headers,
            "state": state,
        }
        await app(scope, receive, send)


async def test_a_long_text_is_read_once_and_in_a_thread(tokenizer: Tokenizer) -> None:
    cache, reads = TokenCache(), Reads(tokenizer)
    reads.may_go_on.clear()
    asked = [asyncio.create_task(cache.encode(reads, LONG, spelled=False)) for _ in range(50)]
    await asyncio.sleep(0)
    asked.pop().cancel()  # a cancelled call does not cancel the encoding for others
    reads.may_go_on.set()
    found = await asyncio.gather(*asked)
    found.append(await cache.encode(reads, LONG, spelled=False))

    assert len(reads.threads) == 1
    assert threading.get_ident() not in reads.threads
    assert all(tokens == tokenizer.encode_text(LONG) for tokens in found)


async def test_a_text_that_can_not_be_read_is_tried_again(tokenizer: Tokenizer) -> None:
    cache = TokenCache()
    with pytest.raises(AttributeError):
        await cache.encode(object(), LONG, spelled=False)  # type: ignore[arg-type]
    broken = cache.encode(object(), LONG, spelled=False)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        await broken

    assert await cache.encode(tokenizer, LONG, spelled=False) == tokenizer.encode_text(LONG)


async def test_no_more_texts_are_kept_than_there_is_room_for(tokenizer: Tokenizer) -> None:
    cache, reads = TokenCache(most=2 * MAX_INLINE_CHARACTERS + 100), Reads(tokenizer)
    texts = [name * (MAX_INLINE_CHARACTERS + 1) for name in "abc"]
    for text in (texts[0], texts[1], texts[0], texts[2], texts[0], texts[1]):
        await cache.encode(reads, text, spelled=False)
    huge = "d" * 10 * MAX_INLINE_CHARACTERS
    for _ in range(2):
        await cache.encode(reads, huge, spelled=False)

    assert len(reads.threads) == 4 + 2


async def test_the_scripted_engine_gives_a_long_instance_in_batches() -> None:
    engine = ScriptedEngine(tokenizer="v1", context_length=32_768)
    await engine.start()
    schema = json.dumps({"type": "array", "items": {"type": "string"}, "minItems": 500})
    found = await batches_of(engine, replace(request(), schema=schema))

    assert len(json.loads("".join(delta.text for batch in found for delta in batch))) == 500
    assert max(map(len, found)) == BATCH_TOKENS


@contextmanager
def stalled(url: str, streams: int) -> Iterator[None]:
    """Open so many streams, and read none of them."""
    with Client(url) as client:
        client.set_window(0)
        for number in range(streams):
            client.request(STREAM, ASKED, stream=2 * number + 1)
        yield


def test_streams_that_nobody_reads_cost_a_batch_each() -> None:
    with command_running([*COMMAND, "--engine", "scripted"]) as url:
        wait_until_ready(url, seconds=30)
        rule(url, reply=LONG, when={"prompt": "long"})
        whole, _ = call(url, "POST", STREAM, ASKED)
        process = psutil.Process(pid_of(url))
        before = process.memory_info().rss
        waits = []
        with stalled(url, STREAMS):
            for _ in range(50):
                began = time.monotonic()
                answer, _ = invoke(url, {"prompt": "Hi"})
                waits.append(time.monotonic() - began)
                assert answer.status == 200
            grown = process.memory_info().rss - before

    assert whole.status == 200
    assert max(waits) < 5  # seconds; it took 9 at once on two busy cores too
    assert grown < 150e6  # bytes; it was 1,050e6


def pid_of(url: str) -> int:
    port = urlsplit(url).port
    listening = (
        each.pid
        for each in psutil.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN and tuple(each.laddr)[1] == port
    )
    pid = next(listening)
    assert pid
    return pid
