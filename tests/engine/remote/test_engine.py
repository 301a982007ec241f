"""The remote engine: servers without token ids, and network failures."""

import asyncio
import logging
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from engine.errors import (
    ChatRefused,
    EngineBusy,
    EngineDead,
    EngineError,
    EngineNotReady,
    EngineTimeout,
    PromptTooLong,
    RequestRefused,
    SchemaRefused,
)
from engine.protocol import Delta, EngineLimits, EngineState, GenerationRequest, Tool, Usage
from engine.remote import engine as remote
from engine.remote import server as remote_server
from engine.remote.completions import EventLines
from engine.remote.engine import RemoteEngine
from engine.streaming import stream
from engine.tokenization.images import open_image
from engine.tokenization.tokenizer import Tokenizer, load_tokenizer
from tests.support.completions_server import (
    CompletionsServer,
    Play,
    answer,
    chunk,
    event,
    say,
    send,
    stuck,
    torn,
)
from tests.support.images import png, to_url
from tests.support.receiving import RecordingReceiver, batches_of, deltas_of
from tests.support.waiting import until_in_loop

CONTEXT = 4_096
TEXTS = (" A", " small", " par", "rot", ".")
TEXT = "".join(TEXTS)
TOOLS = (Tool("f", "{}"),)
# The same text in ids of tokenizer v3, with the EOS.
EOS = 2


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the waits."""
    monkeypatch.setattr(remote_server, "RETRY_DELAYS", (0.01, 0.01, 0.01))
    monkeypatch.setattr(remote, "RECONNECT_SECONDS", 0.01)
    monkeypatch.setattr(remote, "TOKENIZER_RETRY_SECONDS", 0.01)


def engine_of(
    server: CompletionsServer, *, limits: EngineLimits | None = None, **more: Any
) -> RemoteEngine:
    options = {"model": "model", "token_ids": False, **more}
    return RemoteEngine(
        server=remote_server.RemoteServer(url=server.url, **options),
        weights="none",
        tokenizer="v3",
        context_length=CONTEXT,
        limits=limits or EngineLimits(),
    )


@asynccontextmanager
async def running(server: CompletionsServer, **more: Any) -> AsyncIterator[RemoteEngine]:
    async with server.running(), started(server, **more) as engine:
        assert engine.state().status == "ready", engine.state()
        yield engine
        assert engine.running() == 0


@asynccontextmanager
async def started(server: CompletionsServer, **more: Any) -> AsyncIterator[RemoteEngine]:
    engine = engine_of(server, **more)
    try:
        await engine.start()
        yield engine
    finally:
        await engine.close()


def ask(engine: RemoteEngine, prompt: str = "Why?", **more: Any) -> GenerationRequest:
    arguments = {"max_tokens": 20, "temperature": 0.0, **more}
    tokens = engine.tokenizer().encode(prompt)
    return GenerationRequest(request_id="request", prompt=tokens, **arguments)


async def run(engine: RemoteEngine, prompt: str = "Why?", **more: Any) -> list[Delta]:
    return await deltas_of(engine, ask(engine, prompt, **more))


async def listen(engine: RemoteEngine, heard: list[str]) -> None:
    async with aclosing(stream(engine, ask(engine))) as deltas:
        async for batch in deltas:
            heard += [delta.text for delta in batch]


# Servers that return text


async def test_a_prompt_goes_as_text_and_chunks_come_back_as_tokens() -> None:
    server = CompletionsServer([say(*TEXTS)])
    async with running(server) as engine:
        deltas = await run(engine, "[INST] Why?[/INST]", temperature=0.7, top_p=0.9, seed=3)

    assert [delta.text for delta in deltas] == [*TEXTS, ""]
    assert deltas[-1] == Delta("", "stop", Usage(5, 6))
    [asked] = server.asked
    assert asked["prompt"] == "[INST] Why?[/INST]"
    assert (asked["temperature"], asked["top_p"], asked["top_k"]) == (0.7, 0.9, 0)
    assert (asked["model"], asked["seed"], asked["max_tokens"]) == ("model", 3, 20)
    assert "return_token_ids" not in asked


async def test_the_servers_length_is_length_and_so_is_our_own_count() -> None:
    server = CompletionsServer([say(*TEXTS[:3], finish="length"), say(*TEXTS)])
    async with running(server) as engine:
        theirs, ours = [await run(engine, max_tokens=number) for number in (3, 2)]

    assert theirs[-1] == Delta(" par", "length", Usage(3, 3))
    assert ours == [Delta(" A"), Delta(" small", "length", Usage(3, 2))]


async def test_a_stop_string_is_cut_over_chunks_and_the_server_sees_who_left() -> None:
    server = CompletionsServer([stuck(*TEXTS)])
    async with running(server) as engine:
        deltas = await run(engine, stop=("l parrot",))
        await until_in_loop(lambda: server.left == 1)

    assert "".join(delta.text for delta in deltas) == " A smal"
    assert deltas[-1].finish == "stop"
    assert "stop" not in server.asked[0]


async def test_calls_of_tools_are_tokens_where_these_are_spelled() -> None:
    server = CompletionsServer([say("[TOOL_CALLS]", ' [{"name"')])
    async with running(server) as engine:
        spelled, plain = [await run(engine, spelled=spelled) for spelled in (True, False)]

    assert spelled[0].text == "[TOOL_CALLS]"
    assert len(plain) > len(spelled)


async def test_what_a_text_server_can_not_do_is_refused() -> None:
    server = CompletionsServer([say(*TEXTS)])
    async with running(server) as engine:
        with pytest.raises(SchemaRefused):
            await run(engine, schema="{}")
        with pytest.raises(SchemaRefused, match="can't be held to calls of tools where it runs"):
            await run(engine, must_call=TOOLS)
        with pytest.raises(ChatRefused):
            await run(engine, images=(open_image(to_url(png())),))

    assert server.asked == []


# Servers that return token ids


async def test_ids_come_back_for_ids() -> None:
    ids = event(" A", token_ids=[1098]) + event("", token_ids=[EOS], finish="stop")
    server = CompletionsServer([say(finish=None, more=[ids])])
    async with running(server, token_ids=True) as engine:
        request = ask(engine, schema="{}", top_p=0.0, temperature=1.0)
        batches = await batches_of(engine, request)

    assert batches == [[Delta(" A"), Delta("", "stop", Usage(3, 2))]]

    [asked] = server.asked
    assert asked["prompt"] == list(request.prompt)
    assert asked["return_token_ids"] is asked["ignore_eos"] is True
    assert (asked["stop_token_ids"], asked["skip_special_tokens"]) == ([EOS], False)
    assert (asked["temperature"], asked["top_p"]) == (0, 1)
    assert asked["structured_outputs"] == {"json": "{}"}


async def test_calls_with_the_same_beginning_have_the_same_prefix_header() -> None:
    beginning = "You are a patient tutor. " * 100
    server = CompletionsServer([say(*TEXTS)])
    async with running(server) as engine:
        for prompt in (beginning + "Why?", beginning + "How?", "Be brief. " + beginning):
            await run(engine, prompt)

    one, same, other = (prefix_header(head) for head in server.heads)
    assert re.fullmatch("[0-9a-f]{8}", one)
    assert one == same != other


def prefix_header(head: str) -> str:
    [value] = [line.split(": ")[1] for line in head.splitlines() if line[:16] == "X-Prompt-Prefix:"]
    return value


async def test_calls_are_asked_for_by_tags_and_then_by_a_schema() -> None:
    # Older servers and grammar compilers other than xgrammar refuse structural tags.
    refused = answer(400, {"message": "Invalid structural tag specification."})
    ids = event(" A", token_ids=[1098]) + event("", token_ids=[EOS], finish="stop")
    server = CompletionsServer([refused, refused, say(finish=None, more=[ids]), refused])
    async with running(server, token_ids=True) as engine:
        deltas = await run(engine, must_call=TOOLS)
        with pytest.raises(SchemaRefused, match="Invalid structural tag"):
            await run(engine, must_call=TOOLS)

    assert [delta.text for delta in deltas] == [" A", ""]
    held = [list(asked["structured_outputs"]) for asked in server.asked]
    assert held == [["structural_tag"], ["structural_tag"], ["json"]] * 2


async def test_what_is_refused_once_it_has_begun_is_not_asked_again() -> None:
    error = b'data: {"error": {"message": "no", "code": 400}}\n\n'
    server = CompletionsServer([say(finish=None, more=[event(" A", token_ids=[1098]), error])])
    async with running(server, token_ids=True) as engine:
        with pytest.raises(SchemaRefused):
            await run(engine, must_call=TOOLS)

    assert len(server.asked) == 1


async def test_a_token_of_the_servers_that_ends_a_text_ends_it() -> None:
    ids = [event(" A", token_ids=[1098]), event("", token_ids=[3], finish="stop")]
    async with running(CompletionsServer([say(finish=None, more=ids)]), token_ids=True) as engine:
        deltas = await run(engine, stop=(" Ab",))

    assert deltas == [Delta(""), Delta(" A", "stop", Usage(3, 2))]


@pytest.mark.parametrize(
    ("events", "sentence"),
    [
        ([event(" A")], "set token_ids: false for it"),
        ([event(" A", token_ids=[200_000])], "ids that the tokenizer does not have"),
        ([event("", token_ids=[5], finish="abort")], "ended with 'abort'"),
        ([b"data: {\n\n"], "invalid event of a completion: {"),
        ([b'data: {"choices": 7}\n\n'], "invalid event of a completion"),
    ],
)
async def test_what_can_not_be_read_is_an_error(
    events: list[bytes], sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = CompletionsServer([say(finish=None, more=events)])
    async with running(server, token_ids=True) as engine:
        with pytest.raises(EngineDead, match=sentence):
            await run(engine)

    assert f"{server.url}: " in caplog.text
    assert len(server.asked) == 1


@pytest.mark.parametrize("window", ["30", 30.5, [30], None])
async def test_a_window_that_is_no_number_of_tokens_is_none(window: object) -> None:
    server = CompletionsServer([say(*TEXTS)], models=[{"id": "model", "max_model_len": window}])
    async with running(server) as engine:
        assert await run(engine)


async def test_a_window_that_is_smaller_than_the_models_counts() -> None:
    server = CompletionsServer([say(*TEXTS)], models=[{"id": "model", "max_model_len": 30}])
    async with running(server) as engine:
        with pytest.raises(PromptTooLong) as caught:
            await run(engine, max_tokens=28)

    assert caught.value.context_length == 30


# Failures and retries


@pytest.mark.parametrize(
    "failure",
    [
        torn(),
        answer(502, "bad gateway"),
        answer(503, "no server is available"),
        answer(504, "gateway time-out"),
        say(finish=None, more=[b'data: {"error": {"message": "leaving", "code": 503}}\n\n']),
    ],
)
async def test_a_call_that_nobody_answered_is_tried_again(failure: Play) -> None:
    server = CompletionsServer([failure, failure, say(*TEXTS)])
    async with running(server) as engine:
        deltas = await run(engine)

    assert "".join(delta.text for delta in deltas) == TEXT
    assert len(server.asked) == 3


@pytest.mark.parametrize("break_off", [torn(*TEXTS[:2]), say(*TEXTS[:2], finish=None)])
async def test_after_the_first_token_a_break_is_an_error_and_nothing_is_tried(
    break_off: Play,
) -> None:
    server = CompletionsServer([break_off, say(*TEXTS)])
    async with running(server) as engine:
        heard: list[str] = []
        with pytest.raises(EngineDead):
            await listen(engine, heard)

    assert heard == list(TEXTS[:2])
    assert len(server.asked) == 1


TOO_LONG = {"code": 400, "message": "exceeds", "type": "exceed_context_size_error", "n_ctx": 77}


@pytest.mark.parametrize(
    ("play", "error", "attempts"),
    [
        (answer(429, "too many"), EngineBusy, 1),
        (answer(503, "overloaded"), EngineBusy, 4),
        (answer(502, "bad gateway"), EngineDead, 4),
        (answer(504, "time-out"), EngineTimeout, 4),
        (torn(), EngineDead, 4),
        (say(finish=None), EngineDead, 1),
        (answer(400, {"message": "top_k must be -1"}), RequestRefused, 1),
        (answer(400, TOO_LONG), PromptTooLong, 1),
        (answer(401, "Unauthorized"), EngineDead, 1),
        (answer(404, {"message": "The model does not exist."}), EngineDead, 1),
        (answer(500, "broken"), EngineDead, 1),
    ],
)
async def test_what_a_server_answers_is_told_in_the_engines_words(
    play: Play, error: type[EngineError], attempts: int
) -> None:
    server = CompletionsServer([play])
    async with running(server) as engine:
        with pytest.raises(error) as caught:
            await run(engine)
        assert engine.state().status == "ready"

    assert len(server.asked) == attempts
    if isinstance(caught.value, PromptTooLong):
        assert caught.value.context_length == 77
    if error is RequestRefused:
        assert str(caught.value) == "top_k must be -1"


async def test_a_first_token_that_does_not_come_in_time_is_waited_for_no_longer() -> None:
    server = CompletionsServer([stuck()])
    async with running(server, limits=EngineLimits(first_token_seconds=0.2)) as engine:
        with pytest.raises(EngineTimeout):
            await run(engine)
        await until_in_loop(lambda: server.left == 1)

    assert len(server.asked) == 1


async def test_silence_after_the_first_token_is_an_error_too() -> None:
    server = CompletionsServer([stuck(" A")])
    async with running(server, limits=EngineLimits(first_token_seconds=0.2)) as engine:
        async with aclosing(stream(engine, ask(engine))) as deltas:
            assert await anext(deltas) == [Delta(" A")]
            with pytest.raises(EngineTimeout):
                await anext(deltas)
        await until_in_loop(lambda: server.left == 1)


async def test_signs_of_life_are_no_tokens() -> None:
    async def play(writer: asyncio.StreamWriter) -> None:
        await send(writer, event(" A"))
        while True:
            writer.write(chunk(b": still there\n\n"))
            await writer.drain()
            await asyncio.sleep(0.01)

    async with (
        running(CompletionsServer([play]), limits=EngineLimits(first_token_seconds=0.1)) as engine,
        aclosing(stream(engine, ask(engine))) as deltas,
    ):
        assert await anext(deltas)
        with pytest.raises(EngineTimeout):
            await asyncio.wait_for(anext(deltas), timeout=5)


async def test_a_client_that_leaves_ends_the_call_at_once() -> None:
    server = CompletionsServer([stuck(" A")])
    async with running(server) as engine:
        async with aclosing(stream(engine, ask(engine))) as deltas:
            await anext(deltas)
            assert engine.running() == 1
        assert engine.running() == 0
        await until_in_loop(lambda: server.left == 1)


async def test_a_call_that_is_cancelled_while_it_waits_is_ended_too() -> None:
    server = CompletionsServer([stuck()])
    async with running(server) as engine:
        waiting = asyncio.create_task(run(engine))
        await until_in_loop(lambda: len(server.asked) == 1)
        waiting.cancel()
        await until_in_loop(lambda: server.left == 1)
        assert waiting.cancelled()


async def test_nothing_is_read_for_a_receiver_that_is_paused() -> None:
    # The server must wait once the socket buffers are full.
    written = 0

    async def play(writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await send(writer, event(" A"))
        for _ in range(400):
            writer.write(chunk(event(" A", padding="x" * 100_000)))
            await writer.drain()
            written += 1
        writer.write(chunk(event(finish="stop")))

    async with running(
        CompletionsServer([play]), limits=EngineLimits(first_token_seconds=0.2)
    ) as engine:
        receiver = RecordingReceiver()
        generation = engine.generate(ask(engine, max_tokens=1_000), receiver)
        await receiver.wait_for_pushes()
        generation.pause()
        heard = len(receiver.pushes)
        await asyncio.sleep(0.5)  # longer than a server may stall
        assert (len(receiver.pushes), written < 400) == (heard, True)
        generation.resume()
        await receiver.wait_for_end()

    assert (len(receiver.tokens), receiver.finish, receiver.error) == (402, "stop", None)


async def test_log_probabilities_that_are_not_those_of_the_tokens_are_an_error() -> None:
    told = {"tokens": ["token_id:1098"], "token_logprobs": [-0.5], "top_logprobs": [{}]}
    server = CompletionsServer(
        [say(finish=None, more=[event(" A b", token_ids=[1098, 7], logprobs=told)])]
    )
    async with running(server, token_ids=True) as engine:
        with pytest.raises(EngineDead, match="log probabilities of each token"):
            await run(engine, top_logprobs=0)


async def test_a_call_too_many_is_refused_at_once() -> None:
    server = CompletionsServer([stuck(" A")])
    async with (
        running(server, limits=EngineLimits(calls=1)) as engine,
        aclosing(stream(engine, ask(engine))) as deltas,
    ):
        await anext(deltas)
        with pytest.raises(EngineBusy, match="1 calls run or wait already"):
            await run(engine)

    assert len(server.asked) == 1


async def test_one_connection_carries_one_call_after_the_other() -> None:
    server = CompletionsServer([say(*TEXTS)])
    async with running(server) as engine:
        for _ in range(3):
            await run(engine)

    assert (len(server.asked), server.connections) == (3, 1)


async def test_https_is_trusted_by_the_systems_authorities(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server = CompletionsServer([say(*TEXTS)], tls=context)
    async with server.running():
        async with started(server, start_seconds=0.1) as engine:
            unknown = engine.state()
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        async with started(server) as engine:
            deltas = await run(engine)

    assert "certificate verify failed" in (unknown.reason or "")
    assert deltas[-1].finish == "stop"


# Servers that start and stop


async def test_a_server_that_goes_is_told_of_and_one_that_is_back_answers() -> None:
    server = CompletionsServer([say(*TEXTS)])
    async with server.running():
        engine = engine_of(server)
        await engine.start()
    with pytest.raises(EngineDead, match="Connect call failed"):
        await run(engine)
    state = engine.state()
    with pytest.raises(EngineDead, match=server.url):
        engine.tokenizer()
    async with server.running():
        await until_in_loop(lambda: engine.state().status == "ready")
        deltas = await run(engine)
        await engine.close()

    assert state.status == "failed"
    assert state.reason
    assert state.reason.startswith(f"{server.url}: ConnectionRefusedError: ")
    assert deltas[-1].finish == "stop"


async def test_behind_a_balancer_that_has_no_server_left_it_is_not_ready() -> None:
    server = CompletionsServer([answer(503, "no server is available")])
    async with running(server) as engine:
        server.health = 503
        with pytest.raises(EngineBusy):
            await run(engine)
        await until_in_loop(lambda: engine.state().status == "failed")
        state = engine.state()
        with pytest.raises(EngineDead, match="its /health answers 503"):
            engine.tokenizer()
        server.health = 200
        await until_in_loop(lambda: engine.state().status == "ready")

    assert state.reason == f"{server.url}: its /health answers 503"


async def test_a_server_that_goes_while_nobody_calls_is_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remote, "PROBE_SECONDS", 0.05)
    server = CompletionsServer([say(*TEXTS)])
    async with running(server) as engine:
        server.models = []
        await until_in_loop(lambda: engine.state().status == "failed")
        reason = engine.state().reason or ""
        server.models = [{"id": "model"}]
        await until_in_loop(lambda: engine.state().status == "ready")

    assert "it has no model 'model'" in reason


async def test_an_engine_loads_until_its_server_is_there() -> None:
    server = CompletionsServer([say(*TEXTS)], health=503)
    async with server.running():
        engine = engine_of(server)
        start = asyncio.create_task(engine.start())
        await until_in_loop(lambda: server.connections > 0)
        with pytest.raises(EngineNotReady):
            engine.tokenizer()
        assert engine.state().status == "loading"
        server.health = 200
        await start
        assert engine.state().status == "ready"
        await engine.close()


async def test_who_does_not_come_in_time_is_named_and_may_still_come() -> None:
    server = CompletionsServer([say(*TEXTS)])
    async with server.running():
        pass
    async with started(server, start_seconds=0.1) as engine:
        state = engine.state()
        async with server.running():
            await until_in_loop(lambda: engine.state().status == "ready")

    assert state.status == "failed"
    assert state.reason
    assert state.reason.startswith(f"{server.url}: ConnectionRefusedError: ")
    assert state.reason.endswith(", for 0.1 s")


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["127.0.0.1", "127.0.0.2"]])
async def test_why_there_is_no_connection_is_what_the_system_says(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    engine = RemoteEngine(
        server=remote_server.RemoteServer(url=f"http://host:{port}", model="m", start_seconds=0.2),
        weights="none",
        tokenizer="v3",
        context_length=CONTEXT,
    )
    await engine.start()
    reason = engine.state().reason or ""
    await engine.close()

    assert reason.startswith(f"http://host:{port}: ConnectionRefusedError: ")


@pytest.mark.parametrize(
    ("models", "sentence"),
    [
        ([{"id": "one"}, {"id": "two"}], "it has no model 'model'; it has 'one', 'two'"),
        ([], "it has no model 'model'; it has none"),
        ([7], "its /v1/models has no list of models: {"),
    ],
)
async def test_a_model_that_the_server_does_not_have_is_told_with_those_that_it_has(
    models: list[Any], sentence: str
) -> None:
    server = CompletionsServer([say(*TEXTS)], models=models)
    async with server.running(), started(server) as engine:
        state = engine.state()
        server.models = [{"id": "model:latest"}]
        await until_in_loop(lambda: engine.state().status == "ready")

    assert state.status == "failed"
    assert state.reason
    assert state.reason.startswith(f"{server.url}: {sentence}")


async def test_a_key_is_sent_and_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server = CompletionsServer([say(*TEXTS), answer(500, "broken")], api_key="sk-secret")
    async with running(server, api_key="sk-secret") as engine:
        deltas = await run(engine)
        with pytest.raises(EngineDead):
            await run(engine)
    async with server.running(), started(server, api_key="sk-wrong") as engine:
        wrong = engine.state()
    async with server.running(), started(server) as engine:
        without = engine.state()

    assert deltas[-1].finish == "stop"
    assert wrong.reason == f"{server.url}: it refuses the API key"
    assert without.reason == f"{server.url}: it requires an API key"
    assert "sk-" not in caplog.text
    assert "sk-" not in repr(remote_server.RemoteServer(url="u", model="m", api_key="sk-secret"))


async def test_a_tokenizer_that_is_not_there_is_the_reason_until_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = asyncio.Event()

    def load(*of: str) -> Tokenizer:
        if not there.is_set():
            raise FileNotFoundError("no tekken.json")
        return load_tokenizer(*of)

    monkeypatch.setattr(remote, "load_tokenizer", load)
    server = CompletionsServer([say(*TEXTS)])
    async with server.running(), started(server) as engine:
        state = engine.state()
        await asyncio.sleep(0.05)
        assert engine.state() == state
        there.set()
        await until_in_loop(lambda: engine.state().status == "ready")
        deltas = await run(engine)

    assert state == EngineState("failed", "the tokenizer 'v3' could not be loaded: no tekken.json")
    assert deltas[-1].finish == "stop"


def test_lines_come_whole_however_they_are_cut() -> None:
    raw = b': hello\r\ndata: {"a": 1}\r\n\r\nevent: x\ndata:{"b": 2}\n\ndata: [DONE]\n\ndata: torn'
    lines = EventLines()
    found = [line for byte in raw for line in lines.push(bytes([byte]))]

    assert found == [b'{"a": 1}', b'{"b": 2}']
    assert EventLines().push(raw) == found


@pytest.mark.parametrize(
    "asked",
    [{"stop_tokens": (5,)}, {"allowed_tokens": (5,)}, {"ignores_eos": True}, {"min_tokens": 2}],
)
async def test_a_server_of_texts_is_told_of_no_ids(asked: dict[str, Any]) -> None:
    async with running(CompletionsServer([])) as engine:
        with pytest.raises(RequestRefused, match="token ids"):
            await run(engine, **asked)
