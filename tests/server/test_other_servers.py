"""The service under other ASGI servers, whose answers are equal to those under its own server.

Ids, dates, times, padding and the server's own headers are left out of the comparison.
"""

import asyncio
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import uvicorn
from hypercorn.asyncio import serve as serve_by_hypercorn
from hypercorn.config import Config
from starlette.applications import Starlette

from engine.protocol import Engine
from invoke_api.models.engine_pool import Engines
from invoke_api.models.registry import DEFAULT_REGISTRY, load_registry
from invoke_api.pipeline.request_body import MAX_BODY_BYTES, InFlightCalls
from invoke_api.server.app import create_app
from invoke_api.server.http_server import open_socket, to_url
from tests.support.clients import client
from tests.support.http2 import Client
from tests.support.other_servers import (
    VARIABLES,
    Answer,
    Ask,
    Asked,
    Broken,
    Server,
    asker,
    client_of,
    comparable,
    server_running,
)
from tests.support.servers import LARGE_2407, SEVEN_B, app_running, call, connect
from tests.support.streams import split_frames
from tests.support.stubs import StubEngine
from tests.support.waiting import until, until_in_loop

OTHERS = ["hypercorn", "hypercorn-h2c", "uvicorn", "in-process", "ours-h2c"]
ON_SOCKETS = ["ours", *(name for name in OTHERS if name != "in-process")]
STREAM = "invoke-with-response-stream"
MESSAGES = [{"role": "user", "content": [{"text": "Turn left, then right."}]}]
GUARD = {"X-Amzn-Bedrock-GuardrailIdentifier": "abcdef123456"}
GUARD["X-Amzn-Bedrock-GuardrailVersion"] = "DRAFT"


def ask_model(operation: str, body: object, model: str = SEVEN_B, **headers: str) -> Asked:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Asked(f"/model/{quote(model, safe='')}/{operation}", raw, headers=headers)


PROMPT = {"prompt": "<s>[INST] Turn left [/INST]", "max_tokens": 12}
CONVERSATION = {"messages": MESSAGES, "inferenceConfig": {"maxTokens": 12}}
GUARDED = {"prompt": "<s>[INST] A Cactus in a blue moon [/INST]", "max_tokens": 12}
REPLY = " one two three four"
AFTER = {"after_tokens": 2}

# Requests with the current rule and the expected status.
REQUESTS: dict[str, tuple[dict[str, Any] | None, Asked, int]] = {
    "invoke": (None, ask_model("invoke", PROMPT), 200),
    "invoke stream": (None, ask_model(STREAM, PROMPT), 200),
    "converse": (None, ask_model("converse", CONVERSATION), 200),
    "converse stream": (None, ask_model("converse-stream", CONVERSATION), 200),
    "converse over a model of messages": (
        None,
        ask_model("converse", CONVERSATION, LARGE_2407),
        200,
    ),
    "rule": ({"reply": ["As told."]}, ask_model("invoke", PROMPT), 200),
    "rule, stream": ({"reply": ["As told."]}, ask_model("converse-stream", CONVERSATION), 200),
    "fault": (
        {"fault": {"exception": "ThrottlingException", "retry_after": 1_500}},
        ask_model("invoke", PROMPT),
        429,
    ),
    "fault before the stream": (
        {"fault": {"exception": "ServiceUnavailableException"}},
        ask_model(STREAM, PROMPT),
        503,
    ),
    "fault in the stream": (
        {"reply": REPLY, "fault": {"exception": "ModelStreamErrorException", **AFTER}},
        ask_model(STREAM, PROMPT),
        200,
    ),
    "fault in the stream, converse": (
        {"reply": REPLY, "fault": {"exception": "ThrottlingException", **AFTER}},
        ask_model("converse-stream", CONVERSATION),
        200,
    ),
    "malformed": (None, ask_model("invoke", b"{"), 400),
    "not allowed by the schema": (None, ask_model("invoke", {**PROMPT, "top_p": 2}), 400),
    "refused by the model server": (
        None,
        ask_model(STREAM, {"prompt": "a " * 40_000, "max_tokens": 12}),
        200,
    ),
    "unknown model": (None, ask_model("invoke", PROMPT, "mistral.none"), 400),
    "unknown path": (None, Asked("/nowhere?a=b", b"{}"), 200),
    "unknown method": (None, Asked("/model/a/invoke", method="DELETE"), 200),
    "body over the limit": (None, ask_model("invoke", bytes(MAX_BODY_BYTES + 1)), 400),
    "guardrail": (None, ask_model("invoke", GUARDED, **GUARD), 200),
    "guardrail, stream": (None, ask_model(STREAM, GUARDED, **GUARD), 200),
    "foundation models": (None, Asked("/foundation-models?byProvider=mistral", method="GET"), 200),
    "health": (None, Asked("/_emulator/health", method="GET"), 200),
    "ready": (None, Asked("/_emulator/ready", method="GET"), 200),
    "no such route of the emulator's": (None, Asked("/_emulator/none", method="GET"), 404),
    "another site's page": (
        None,
        Asked("/_emulator/health", method="GET", headers={"Origin": "http://example.org"}),
        403,
    ),
    "an invalid rule": (None, Asked("/_emulator/rules", b'{"reply": 1}'), 400),
}


@pytest.fixture(scope="module")
def servers() -> Iterator[Callable[[str], Server]]:
    """Return a function from a name to the server, which is started at its first use."""
    with ExitStack() as stack:
        running: dict[str, Server] = {}

        def server(name: str) -> Server:
            if name not in running:
                running[name] = stack.enter_context(server_running(name))
            return running[name]

        yield server


class Person:
    """A client with its own access key, rules and journal."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self.key = f"AKIA{token_hex(8).upper()}"

    def ask(self, asked: Asked) -> Answer:
        scope = f"{self.key}/20261130/us-west-2/bedrock/aws4_request"
        signed = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00"
        return self._ask(asked._replace(headers={**asked.headers, "Authorization": signed}))

    def rule(self, rule: dict[str, Any]) -> None:
        answer = self._ask(
            Asked("/_emulator/rules", json.dumps({**rule, "scope": self.key}).encode())
        )
        assert answer.status == 201, answer.body

    @property
    def journal(self) -> list[dict[str, Any]]:
        answer = self._ask(Asked(f"/_emulator/requests?scope={self.key}", method="GET"))
        calls: list[dict[str, Any]] = json.loads(answer.body)["requests"]
        return calls


@pytest.mark.parametrize("server", OTHERS)
@pytest.mark.parametrize("name", REQUESTS)
def test_the_answer_is_that_of_our_own_server(
    name: str, server: str, servers: Callable[[str], Server]
) -> None:
    rule, asked, status = REQUESTS[name]
    answers, journals = [], []
    for each in ("ours", server):
        tester = Person(servers(each).ask)
        if rule:
            tester.rule(rule)
        answers.append(comparable(tester.ask(asked)))
        journals.append([told(entry) for entry in tester.journal])

    assert answers[1] == answers[0]
    assert answers[0].status == status
    assert journals[1] == journals[0]


def told(entry: dict[str, Any]) -> tuple[Any, ...]:
    """Return the journal's entry of a call, without times and ids."""
    names = ("operation", "model_id", "body", "text", "ended", "error", "engine", "output_tokens")
    return tuple(entry.get(name) for name in names)


@pytest.mark.parametrize("server", ["ours", *OTHERS])
@pytest.mark.parametrize("operation", ["invoke", STREAM])
def test_an_answer_that_is_cut_breaks_off(
    operation: str, server: str, servers: Callable[[str], Server]
) -> None:
    tester = Person(servers(server).ask)
    after = {"after_tokens": 2} if operation == STREAM else {}
    tester.rule({"reply": REPLY, "fault": {"break": "cut", **after}})
    with pytest.raises(Broken):
        tester.ask(ask_model(operation, PROMPT))

    [entry] = tester.journal
    assert entry["ended"] == "cut"


@pytest.mark.parametrize("server", ["ours", "hypercorn", "uvicorn"])
def test_boto3_is_answered(server: str, servers: Callable[[str], Server]) -> None:
    with client(servers(server).url, f"AKIA{token_hex(8).upper()}") as runtime:
        request = {"modelId": SEVEN_B, **CONVERSATION}
        whole = runtime.converse(**request)
        with closing(runtime.converse_stream(**request)["stream"]) as events:
            deltas = [each["contentBlockDelta"] for each in events if "contentBlockDelta" in each]
        with pytest.raises(runtime.exceptions.ValidationException):
            runtime.invoke_model(modelId="mistral.none", body=b"{}")

    text = whole["output"]["message"]["content"][0]["text"]
    assert "".join(each["delta"]["text"] for each in deltas) == text


@pytest.mark.parametrize("server", ["ours", *OTHERS])
def test_metrics_count_the_calls(server: str, servers: Callable[[str], Server]) -> None:
    ask = servers(server).ask
    before = counted(ask)
    ask(ask_model("converse-stream", CONVERSATION))

    assert counted(ask) == before + 1


def counted(ask: Ask) -> float:
    text = ask(Asked("/metrics", method="GET")).body.decode()
    found = re.findall(r'(?m)^invoke_api_calls_total\{.*"ConverseStream".* (\S+)$', text)
    return sum(map(float, found))


# Tests with their own engine, in this process.

BODY = json.dumps({"prompt": "turn left", "max_tokens": 8192}).encode()


@contextmanager
def stub_running(name: str, engine: Engine) -> Iterator[str]:
    """Run the service with this engine under a server in a thread, and yield its URL."""
    registry = load_registry(DEFAULT_REGISTRY).only([SEVEN_B])
    calls = InFlightCalls()
    app = create_app(registry, Engines({SEVEN_B: engine}), calls)
    if name.startswith("ours"):
        with app_running(app, calls) as url:
            yield url
        return
    listener = open_socket("127.0.0.1", 0)
    ends = threading.Event()
    serve = serve_uvicorn if name == "uvicorn" else serve_hypercorn
    thread = threading.Thread(target=lambda: asyncio.run(serve(app, listener, ends)))
    thread.start()
    try:
        url = to_url(listener)
        until(lambda: is_ready(url), seconds=30)
        yield url
    finally:
        ends.set()
        thread.join(timeout=30)
        listener.close()
        assert not thread.is_alive()


def is_ready(url: str) -> bool:
    with suppress(ConnectionError):
        return call(url, "GET", "/_emulator/ready")[0].status == 200
    return False


async def serve_uvicorn(app: Starlette, listener: Any, ends: threading.Event) -> None:
    config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await until_set(ends)
    server.should_exit = True
    await serving


async def serve_hypercorn(app: Any, listener: Any, ends: threading.Event) -> None:
    config = Config()
    config.bind = [f"fd://{os.dup(listener.fileno())}"]
    await serve_by_hypercorn(app, config, shutdown_trigger=lambda: until_set(ends))


async def until_set(event: threading.Event) -> None:
    while not event.is_set():  # noqa: ASYNC110 - another thread sets it
        await asyncio.sleep(0.02)


def running(url: str) -> int:
    _, body = call(url, "GET", "/_emulator/health")
    count: int = json.loads(body)["models"][SEVEN_B]["running"]
    return count


@contextmanager
def calling(name: str, url: str, operation: str) -> Iterator[Any]:
    """Send a request, yield the response as a file-like object, and disconnect at the end."""
    path = f"/model/{SEVEN_B}/{operation}"
    if name.endswith("h2c"):
        with Client(url) as other:
            other.request(path, BODY)
            yield None
        return
    with closing(connect(url)) as connection:
        connection.request("POST", path, BODY)
        yield connection


@pytest.mark.parametrize("server", ON_SOCKETS)
@pytest.mark.parametrize("operation", ["invoke", STREAM])
@pytest.mark.parametrize(
    "engine",
    [
        pytest.param(lambda: StubEngine([" never"], pause=3_600), id="before the first token"),
        pytest.param(lambda: StubEngine([" on"] * 10_000, pause=0.01), id="between two tokens"),
        pytest.param(lambda: StubEngine([" on" * 10_000] * 8_000), id="while it does not read"),
    ],
)
def test_a_client_that_leaves_frees_the_engine(
    engine: Callable[[], StubEngine], operation: str, server: str
) -> None:
    with stub_running(server, engine()) as url:
        with calling(server, url, operation):
            until(lambda: running(url) == 1, seconds=5)
        until(lambda: running(url) == 0, seconds=5)

        assert call(url, "GET", "/_emulator/requests")[1].count(b'"cancelled"') == 1


@pytest.mark.parametrize("server", ON_SOCKETS)
def test_a_slow_client_gets_every_byte(server: str) -> None:
    # The answer is longer than all buffers, and its end comes while the client does not read.
    texts = [f" {number:x}" + " on" * 10_000 for number in range(300)]
    with stub_running(server, StubEngine(texts, pause=None)) as url:
        if server.endswith("h2c"):
            body = asker(server, url)(ask_model(STREAM, BODY)).body
        else:
            with calling(server, url, STREAM) as connection:
                response = connection.getresponse()
                body = response.read(100_000)
                until(lambda: running(url) == 1, seconds=5)
                threading.Event().wait(0.3)
                body += response.read()
        until(lambda: running(url) == 0, seconds=5)

    chunks = [json.loads(comparable_payload(each.payload)) for each in split_frames(body)]
    assert "".join(each["outputs"][0]["text"] for each in chunks) == "".join(texts)


def comparable_payload(payload: bytes) -> bytes:
    [(_, plain)] = comparable(Answer(200, {}, payload)).frames
    return plain


async def test_a_call_that_is_cancelled_frees_the_engine_and_leaves_no_task() -> None:
    # A server does this when it stops while calls are in flight.
    registry = load_registry(DEFAULT_REGISTRY).only([SEVEN_B])
    engine = StubEngine([" on"] * 10_000, pause=0.01)
    app = create_app(registry, Engines({SEVEN_B: engine}), InFlightCalls())
    async with app.router.lifespan_context(app), client_of(app) as caller:
        before = asyncio.all_tasks()
        for operation in ("invoke", STREAM):
            asked = ask_model(operation, BODY)
            calling = asyncio.create_task(caller.post(asked.path, content=asked.body))
            await until_in_loop(lambda: engine.running() == 1)
            await asyncio.sleep(0.05)
            calling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await calling
            await until_in_loop(lambda: engine.running() == 0, seconds=1)

        assert asyncio.all_tasks() <= before


# Settings.


@contextmanager
def app_with(**variables: str) -> Iterator[Starlette]:
    """Build the application with additional variables."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in VARIABLES.items():
            patch.setenv(name, value)
        module = import_module("invoke_api.asgi")
        for name, value in variables.items():
            patch.setenv(f"INVOKE_API_{name}", value)
        yield module.build_app()


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"ENGINE": "none"}, r"Invalid value for '--engine' \(env var: 'INVOKE_API_ENGINE'\)"),
        ({"AUTH": "sigv4"}, "--auth sigv4 needs keys"),
        ({"AUHT": "none"}, "There is no variable INVOKE_API_AUHT; did you mean INVOKE_API_AUTH?"),
        ({"MATCH": "nearest"}, "--match needs --engine replay."),
        ({"REGISTRY": "none.yaml"}, "none.yaml"),
        ({"RULES": "none.yaml"}, "none.yaml"),
        ({"TLS_CERT": "cert.pem"}, "INVOKE_API_TLS_CERT is only for `invoke-api serve`; pass"),
        ({"TLS_KEY": "key.pem"}, "INVOKE_API_TLS_KEY is only for `invoke-api serve`; pass"),
    ],
)
def test_settings_that_cannot_be_end_the_import_with_a_sentence(
    variables: dict[str, str], sentence: str
) -> None:
    with pytest.raises(SystemExit, match=sentence), app_with(**variables):
        pass


def test_a_setting_of_our_own_server_is_told_of_and_does_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    of_our_server = {
        "HOST": "0.0.0.0",
        "PORT": "80",
        "WORKERS": "4",
        "MAX_CONNECTIONS": "1",
        "MAX_CONNECTIONS_PER_ADDRESS": "1",
        "SHUTDOWN_DELAY": "5",
        "GRACEFUL_TIMEOUT": "5",
    }
    with app_with(**of_our_server, REGION="us-west-2"):
        told = [record.getMessage() for record in caplog.records]

    does_nothing = "has no effect here; configure the ASGI server instead"
    expected = [f"INVOKE_API_{name} {does_nothing}" for name in of_our_server]
    assert [each for each in told if "guardrails" not in each] == expected


async def test_without_keys_only_clients_on_loopback_are_answered() -> None:
    converse = ask_model("converse", CONVERSATION)
    with app_with() as app:
        async with app.router.lifespan_context(app):
            for address, status in {
                "127.0.0.1": 200,
                "::1": 200,
                "::ffff:127.0.0.1": 200,
                "192.0.2.1": 403,
                "testclient": 403,
            }.items():
                async with client_of(app, address) as caller:
                    answer = await answered(caller, converse)
                    rules = await caller.get("/_emulator/rules")
                    health = await caller.get("/_emulator/health")

                assert (answer.status_code, rules.status_code) == (status, status), address
                assert health.status_code == 200
    assert rules.json()["error"] == SENTENCE
    assert SENTENCE in answer.json().values()
    assert answer.headers["x-amzn-errortype"].startswith("AccessDeniedException:")


SENTENCE = (
    "On localhost anybody who reaches this machine could use the models. Say --auth sigv4, bearer"
    " or any and name the keys with --credentials; or --allow-anonymous if that is what you want."
)


async def answered(caller: httpx.AsyncClient, asked: Asked) -> httpx.Response:
    """Return the answer, once the model is loaded."""
    while True:
        response = await caller.request(asked.method, asked.path, content=asked.body)
        if response.status_code != 429:  # ModelNotReadyException
            return response
        await asyncio.sleep(0.01)


async def test_everybody_is_answered_if_the_operator_wants_it() -> None:
    with app_with(ALLOW_ANONYMOUS="1") as app:
        async with app.router.lifespan_context(app), client_of(app, "192.0.2.1") as caller:
            answer = await answered(caller, ask_model("converse", CONVERSATION))
            rules = await caller.get("/_emulator/rules")

    assert (answer.status_code, rules.status_code) == (200, 200)


async def test_a_name_that_nobody_has_allowed_reaches_no_route_of_the_emulator() -> None:
    # Any address may belong to the service; a name may belong to a page with DNS rebinding.
    with app_with(ALLOWED_HOST="bedrock") as app:
        async with app.router.lifespan_context(app), client_of(app) as caller:
            statuses = [
                (await caller.get("/_emulator/health", headers={"Host": host})).status_code
                for host in ("localhost:1", "10.0.0.3:1", "bedrock", "example.org")
            ]

    assert statuses == [200, 200, 200, 403]


async def test_the_file_of_rules_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("rules: [{reply: [first]}]")
    asked = ask_model("invoke", PROMPT)
    with app_with(RULES=str(path)) as app:
        async with app.router.lifespan_context(app), client_of(app) as caller:
            before = await answered(caller, asked)
            path.write_text("rules: [{reply: [the second]}]")
            deadline = asyncio.get_running_loop().time() + 10
            while b"second" not in (answer := await answered(caller, asked)).content:
                assert asyncio.get_running_loop().time() < deadline, answer.content
                await asyncio.sleep(0.05)

    assert b"first" in before.content
